package config

import (
	"context"
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

// File is a config file that was read. Its methods may be called from several
// goroutines, but for those of edit.go and Save, which change it.
type File struct {
	// LookupEnv looks up the environment, which goes before the file. Nil: no
	// environment. To be set before the first use.
	LookupEnv func(key string) (string, bool)

	path     string
	names    []string // sections in the order of the file
	sections map[string]section

	lines    []line        // the text, from which names and sections are made
	bom      bool          // the text begins with a byte order mark
	password secret.String // what Save encrypts with; empty: it doesn't
	origin   origin        // what Load found on disk
}

// New returns a File without remotes, for a path where there is none yet.
func New(path string) *File { return &File{path: path, sections: map[string]section{}} }

// Load reads a config file. An empty path gives a File without remotes, for remotes
// that live in the environment or on the command line alone. p opens a file that is
// encrypted; nil has no password. Its errors are of KindNotFound, KindPermission,
// KindInvalid, KindUnsupported (an encryption newer than this program) and
// KindCredentials (encrypted, and no or a wrong password).
func Load(ctx context.Context, path string, p *Passwords) (*File, error) {
	if path == "" {
		return &File{}, nil
	}
	raw, err := readFile(path)
	if err != nil {
		return nil, err
	}
	box, err := findBox(path, raw)
	if err != nil {
		return nil, err
	}
	text, password := raw, secret.String{}
	if box != nil {
		if text, password, err = p.open(ctx, path, box); err != nil {
			return nil, err
		}
	}
	f, err := Parse(path, text)
	if err != nil {
		return nil, err
	}
	f.password, f.origin = password, originOf(raw)
	return f, nil
}

// readFile reads a whole file of a sensible size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError("read config", path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fileError("read config", path, err)
	}
	if len(text) > maxFile {
		return nil, object.Errorf(object.KindInvalid, "read config", path, "the file is over %d MiB", maxFile>>20)
	}
	return text, nil
}

// fileError gives a failure of the file system its kind.
func fileError(op, path string, err error) error {
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
	return &object.Error{Op: op, Key: path, Kind: kind, Err: err}
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
	r := &Remote{name: ":" + p.Backend, lookupEnv: f.LookupEnv, options: p.options}
	return r, checkType(r, p.Backend, "on the command line")
}

func (f *File) remote(name string, options section) (*Remote, error) {
	r := &Remote{name: name, lookupEnv: f.LookupEnv, file: f, options: options}
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

// Remote is one remote: its name, and where its options come from.
type Remote struct {
	name      string
	lookupEnv func(string) (string, bool) // may be nil
	file      *File                       // nil for a remote made on the fly
	options   section                     // of the command line's connection string
	flags     func(key string) (string, bool)
}

// WithFlags returns the remote with the options that flags of the command line set.
func (r *Remote) WithFlags(flags func(key string) (string, bool)) *Remote {
	with := *r
	with.flags = flags
	return &with
}

// Name returns the name; one that starts with ":" was made on the fly.
func (r *Remote) Name() string { return r.name }

// String returns the name: options may be secret.
func (r *Remote) String() string { return r.name }

// Get returns the value of an option; empty where it is not set. For the provider
// that is not set, it is the one that the endpoint's host belongs to.
func (r *Remote) Get(key string) string {
	v, _ := r.Lookup(key)
	if v == "" && key == "provider" {
		endpoint, _ := r.Lookup("endpoint")
		return providerOf(endpoint)
	}
	return v
}

// Secret returns the value of an option as a secret.
func (r *Remote) Secret(key string) secret.String { return secret.New(r.Get(key)) }

// Lookup returns the value of an option, and whether it is set. The first of these
// that has it wins, as with rclone 1.76: the connection string, a flag, the variable of
// all S3 remotes (S3MOUNT_S3_KEY, RCLONE_S3_KEY), that of this remote
// (RCLONE_CONFIG_NAME_KEY), the file. That the general variable goes before the special
// one is not what rclone's documentation says; test/rclone asks the program.
//
// A variable that is there and empty makes the option blank, whatever the file says; a
// general one that is empty goes behind the special one.
func (r *Remote) Lookup(key string) (string, bool) {
	if v, ok := r.options[key]; ok {
		return v.Reveal(), true
	}
	if r.flags != nil {
		if v, ok := r.flags(key); ok {
			return v, true
		}
	}
	if v, ok := r.fromEnv(key); ok {
		return v, true
	}
	if r.file == nil {
		return "", false
	}
	return r.file.inherited(r.name, key)
}

// fromEnv finds an option in the environment.
func (r *Remote) fromEnv(key string) (string, bool) {
	if r.lookupEnv == nil {
		return "", false
	}
	blank := false
	if known, _ := Known(key); known {
		for _, prefix := range []string{"S3MOUNT_S3_", "RCLONE_S3_"} {
			v, ok := r.lookupEnv(prefix + strings.ToUpper(key))
			if v != "" {
				return v, true
			}
			blank = blank || ok
		}
	}
	if r.file != nil {
		if v, ok := r.lookupEnv(envName(r.name, key)); ok {
			return v, true
		}
	}
	return "", blank
}

// inherited finds a key in the section of a name, or those that it takes from.
func (f *File) inherited(name, key string) (string, bool) {
	for {
		s, ok := f.sections[name]
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

// Refusal returns an error of KindUnsupported if the remote asks for what s3mount does
// not do, and it would be wrong to go on without: see Other.
func (r *Remote) Refusal() error { return Refusal(r.Get) }

// Warnings tells what looks like a slip in values that are legal, and what is passed
// over. Each is one line without a secret in it.
func (r *Remote) Warnings() []string {
	var warnings []string
	add := func(format string, args ...any) {
		warnings = append(warnings, fmt.Sprintf("remote %s: "+format, append([]any{r.name}, args...)...))
	}
	for _, key := range slices.Sorted(maps.Keys(secretKeys)) {
		for _, what := range Slips(key, r.Get(key)) {
			add("%s %s", key, what)
		}
	}
	for _, line := range PassedOver(r.Get) {
		add("%s", line)
	}
	for _, key := range r.unknown() {
		hint := ""
		if near := Nearest(key); near != "" {
			hint = ": did you mean " + near + "?"
		}
		add("there is no option %s%s", key, hint)
	}
	return warnings
}

// unknown returns the options that are written for the remote, but that neither s3mount
// nor rclone knows.
func (r *Remote) unknown() []string {
	keys := map[string]bool{}
	for key := range r.options {
		keys[key] = true
	}
	if r.file != nil {
		for key := range r.file.sections[r.name] {
			keys[key] = true
		}
	}
	maps.DeleteFunc(keys, func(key string, _ bool) bool {
		known, _ := Known(key)
		return known || key == "type"
	})
	return slices.Sorted(maps.Keys(keys))
}

// Slips tells what looks like a slip in the value of an option, in words that follow
// its name. They hold nothing of the value.
func Slips(key, value string) []string {
	if !secretKeys[key] {
		return nil
	}
	var slips []string
	if strings.Contains(value, `\/`) {
		slips = append(slips, `contains \/: was it pasted from JSON, where / is written \/ ? Then write / alone`)
	}
	if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		slips = append(slips, "is within quotes, which are taken as part of it: take them off")
	}
	return slips
}

// secretKeys are the options whose values look like line noise, where a slip in
// pasting is not seen.
var secretKeys = map[string]bool{"access_key_id": true, "secret_access_key": true, "session_token": true}
