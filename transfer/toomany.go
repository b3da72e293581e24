package transfer

import "fmt"

// TooManyDeletes is the cause of an error of KindInvalid: Options.MaxDelete forbids what
// there is to delete, and nothing was deleted.
type TooManyDeletes struct{ Found, Allowed int64 }

func (e *TooManyDeletes) Error() string {
	return fmt.Sprintf("%d files are to be deleted, and --max-delete allows %d: none was", e.Found, e.Allowed)
}
