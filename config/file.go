package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// maxFile is how much of a config file is read: more than that is none.
const maxFile = 16 << 20

// File is a config file that was read. It does not change, and its methods may be
// called from several goroutines.
type File struct {
	// Getenv looks up the environment, which goes before the file. Nil: no
	// environment. To be set before the first use.
	Getenv func(key string) string

	path     string
	names    []string // sections in the order of the file
	sections map[string]section
}

// Load reads a config file. An empty path gives a File without remotes, for remotes
// that live in the environment or on the command line alone. Its errors are of
// KindNotFound, KindPermission, KindInvalid and KindUnsupported (encrypted).
func Load(path string) (*File, error) {
	if path == "" {
		return &File{}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if len(text) > maxFile {
		return nil, object.Errorf(object.KindInvalid, "read config", path, "the file is over %d MiB", maxFile>>20)
	}
	return Parse(path, text)
}

// fileError gives a failure of the file system its kind.
func fileError(path string, err error) error {
	kind := object.KindOther
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = object.KindNotFound
	case errors.Is(err, fs.ErrPermission):
		kind = object.KindPermission
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return &object.Error{Op: "read config", Key: path, Kind: kind, Err: err}
}

// Path returns the path that the file was read from; empty for none.
func (f *File) Path() string { return f.path }

// Names returns the names of the remotes in the file, in its order. Sections that
// are of another type than s3 are among them.
func (f *File) Names() []string {
	return slices.DeleteFunc(slices.Clone(f.names), func(n string) bool { return n == topSection })
}

// Remote finds a remote by its name, in the file or in the environment. An unknown
// name is an error of KindNotFound that tells the known ones; a remote that is not
// of type s3 is one of KindUnsupported.
func (f *File) Remote(name string) (*Remote, error) {
	return f.remote(name, nil)
}

// Open finds the remote that p names and lays p's options over it.
func (f *File) Open(p RemotePath) (*Remote, error) {
	if p.Backend == "" {
		return f.remote(p.Remote, p.options)
	}
	r := &Remote{name: ":" + p.Backend, options: p.options}
	return r, checkType(r, p.Backend, "on the command line")
}

func (f *File) remote(name string, options section) (*Remote, error) {
	r := &Remote{name: name, file: f, options: options}
	kind, known := r.Lookup("type")
	if _, inFile := f.sections[name]; !inFile && !known {
		return nil, object.Errorf(object.KindNotFound, "find remote", name, "%s", f.unknown(name))
	}
	where := "in the environment"
	if f.path != "" {
		where = "in " + f.path
	}
	return r, checkType(r, kind, where)
}

// checkType reports a remote that is not S3.
func checkType(r *Remote, kind, where string) error {
	switch kind {
	case "s3":
		return nil
	case "":
		return object.Errorf(object.KindInvalid, "find remote", r.name, "the remote %s has no type: add the line type = s3", where)
	}
	return object.Errorf(object.KindUnsupported, "find remote", r.name, "the remote %s is of type %q; s3mount knows the type s3 only", where, kind)
}

// unknown says what there is instead of the remote called name.
func (f *File) unknown(name string) string {
	names := f.Names()
	switch {
	case f.path == "":
		return fmt.Sprintf("there is no config file, and %s is not set", envName(name, "type"))
	case len(names) == 0:
		return fmt.Sprintf("%s has no remotes", f.path)
	}
	return fmt.Sprintf("%s has no such remote; it has: %s", f.path, strings.Join(names, ", "))
}

// Remote is one remote: its name, and its options from the command line, the
// environment and the file, in this order.
type Remote struct {
	name    string
	file    *File // nil for a remote made on the fly
	options section
}

// Name returns the name; one that starts with ":" was made on the fly.
func (r *Remote) Name() string { return r.name }

// String returns the name: options may be secret.
func (r *Remote) String() string { return r.name }

// Get returns the value of an option; empty where it is not set.
func (r *Remote) Get(key string) string {
	v, _ := r.Lookup(key)
	return v
}

// Secret returns the value of an option as a secret.
func (r *Remote) Secret(key string) secret.String { return secret.New(r.Get(key)) }

// Lookup returns the value of an option, and whether it is set.
func (r *Remote) Lookup(key string) (string, bool) {
	if v, ok := r.options[key]; ok {
		return v.Reveal(), true
	}
	if r.file == nil {
		return "", false
	}
	if r.file.Getenv != nil {
		if v := r.file.Getenv(envName(r.name, key)); v != "" {
			return v, true
		}
	}
	for name := r.name; ; {
		s, ok := r.file.sections[name]
		if v, has := s[key]; has {
			return v.Reveal(), true
		}
		dot := strings.LastIndexByte(name, '.')
		if !ok || dot < 0 {
			return "", false
		}
		name = name[:dot]
	}
}

// envName returns the environment variable that rclone reads for an option.
func envName(remote, key string) string {
	return "RCLONE_CONFIG_" + strings.ToUpper(remote+"_"+strings.ReplaceAll(key, "-", "_"))
}

// Warnings tells what looks like a slip in values that are legal. Each is one line
// without a secret in it.
func (r *Remote) Warnings() []string {
	var warnings []string
	warn := func(key, what string) {
		warnings = append(warnings, fmt.Sprintf("remote %s: %s %s", r.name, key, what))
	}
	for _, key := range slices.Sorted(maps.Keys(secretKeys)) {
		v := r.Get(key)
		if strings.Contains(v, `\/`) {
			warn(key, `contains \/: was it pasted from JSON, where / is written \/ ?`)
		}
		if len(v) > 1 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
			warn(key, "is within quotes, which are taken as part of it: take them off")
		}
	}
	return warnings
}

// secretKeys are the options whose values look like line noise, where a slip in
// pasting is not seen.
var secretKeys = map[string]bool{"access_key_id": true, "secret_access_key": true, "session_token": true}
