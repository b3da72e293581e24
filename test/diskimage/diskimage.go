// Package diskimage copies folders that a running process writes to, as a crash would leave them.
package diskimage

import (
	"errors"
	"io/fs"
	"os"
)

// tries is how many copies may be overtaken. A journal makes one file ahead at a time.
const tries = 100

// Copy copies a folder to a new one. A file that is made ahead may get its name meanwhile: then
// the copy is none of one moment, and made again. The error is that of the file system.
func Copy(to, from string) error {
	for try := 1; ; try++ {
		err := os.CopyFS(to, os.DirFS(from))
		if !errors.Is(err, fs.ErrNotExist) || try == tries {
			return err
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
}
