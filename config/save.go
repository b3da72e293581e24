package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/s3mount/s3mount/internal/durable"
	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// origin is what stood on disk when a file was read: nothing, or bytes of this sum.
type origin struct {
	exists bool
	sum    [sha256.Size]byte
}

func originOf(raw []byte) origin { return origin{true, sha256.Sum256(raw)} }

// Encrypted reports whether Save encrypts the file.
func (f *File) Encrypted() bool { return !f.password.Empty() }

// SetPassword makes Save encrypt the file with a password, or write it in plain if the
// password is empty.
func (f *File) SetPassword(password secret.String) error {
	if !password.Empty() {
		if err := checkPassword(password); err != nil {
			return object.Errorf(object.KindInvalid, "set password", f.path, "%w", err)
		}
	}
	f.password = password
	return nil
}

// Text returns the file as Save writes it in plain, with the values that hide tells
// replaced by mask.
func (f *File) Text(section string, hide func(section, key string) bool, mask string) string {
	var b strings.Builder
	for _, l := range f.lines {
		switch {
		case section != "" && (l.section != section || !l.header && l.key == ""):
		case l.key != "" && !l.value.Empty() && hide(l.section, l.key):
			b.WriteString(l.key + " = " + mask + "\n")
		default:
			b.WriteString(shown(l, hide, mask) + "\n")
		}
	}
	return b.String()
}

// shown is a line that is no secret itself, but may have one in it: a line that was made
// a comment, or a URL with a password.
func shown(l line, hide func(section, key string) bool, mask string) string {
	text := strings.TrimRight(l.text.Reveal(), "\r\n")
	if isComment(l) {
		inner := strings.TrimLeft(strings.TrimSpace(text), "#; \t")
		if i := strings.IndexAny(inner, "=:"); i > 0 && strings.TrimSpace(inner[i+1:]) != "" && hide(l.section, strings.TrimSpace(inner[:i])) {
			return text[:strings.Index(text, inner)] + inner[:i+1] + " " + mask
		}
	}
	if hide(l.section, "password") { // who may not see one may not see one in a URL
		return WithoutPassword(text, mask)
	}
	return text
}

var userinfo = regexp.MustCompile(`://[^/?#\s]*@`)

// WithoutPassword puts mask in the place of what stands before the host in URLs.
func WithoutPassword(text, mask string) string {
	return userinfo.ReplaceAllLiteralString(text, "://"+mask+"@")
}

// plain is the whole text of the file.
func (f *File) plain() []byte {
	var b bytes.Buffer
	if f.bom {
		b.WriteString(bom)
	}
	for _, l := range f.lines {
		b.WriteString(l.text.Reveal())
	}
	return b.Bytes()
}

// Save writes the file to where it was read from, all or nothing: a new file beside it
// takes its name once it is on disk. A symbolic link stays, and the file that it leads
// to is replaced. Nobody but the owner may read the result, whatever was before.
//
// If the file on disk is not what Load read, Save changes nothing and fails with
// KindConflict: somebody else changed it. (Between that look and the rename is a
// moment in which a change is lost; programs of people hardly meet in it.)
func (f *File) Save() error {
	const op = "save config"
	path, err := realPath(f.path)
	if err != nil {
		return fileError(op, f.path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fileError(op, f.path, err)
	}
	text := f.plain()
	if f.Encrypted() {
		text = sealBox(text, f.password)
	}
	temp, err := f.writeTemp(path, text)
	if err != nil {
		return fileError(op, f.path, err)
	}
	defer os.Remove(temp) // it is gone if all went well
	if err := f.unchanged(path); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return fileError(op, f.path, err)
	}
	f.origin = originOf(text)
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return fileError("save config", filepath.Dir(path), err)
	}
	return nil
}

// writeTemp writes the new file beside the old one, and returns its path.
func (f *File) writeTemp(path string, text []byte) (name string, err error) {
	mode, owner, err := modeOf(path)
	if err != nil {
		return "", err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, temp.Close())
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	if owner != nil && int(owner.Uid) != os.Geteuid() {
		if err := temp.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return "", err
		}
	}
	if err := temp.Chmod(mode); err != nil {
		return "", err
	}
	if _, err := temp.Write(text); err != nil {
		return "", err
	}
	return temp.Name(), temp.Sync()
}

// modeOf returns the permissions for the file that takes a path: those of the one that
// is there, without others' share in them. owner is nil where there is none.
func modeOf(path string) (mode fs.FileMode, owner *syscall.Stat_t, err error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0o600, nil, nil
	case err != nil:
		return 0, nil, err
	case !info.Mode().IsRegular():
		return 0, nil, errors.New("it is no regular file")
	}
	owner, _ = info.Sys().(*syscall.Stat_t)
	return info.Mode().Perm() & 0o600, owner, nil
}

// unchanged reports whether the disk has what Load found.
func (f *File) unchanged(path string) error {
	now := origin{}
	raw, err := readFile(path)
	switch {
	case err == nil:
		now = originOf(raw)
	case !object.Is(err, object.KindNotFound):
		return err
	}
	if now != f.origin {
		return object.Errorf(object.KindConflict, "save config", f.path, "the file was changed meanwhile, and is left as it is now: run this again")
	}
	return nil
}

// realPath follows symbolic links, also to where nothing is yet.
func realPath(path string) (string, error) {
	const most = 40 // as the kernel has it
	for range most {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return "", syscall.ELOOP
}
