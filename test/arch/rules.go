// Package arch holds the rules of who may import whom, and checks the source against
// them. The rules are data: to change the architecture, change rules.go and
// docs/ARCHITECTURE.md together.
//
// Test files are bound by Owners but not by Layers: a test may put a package together
// with its neighbours and with the servers under test/.
package arch

// Module is the path of the module that is checked.
const Module = "github.com/s3mount/s3mount"

// Layer says what the packages below a folder may import of this module and of others.
type Layer struct {
	// Dir is the folder, relative to the module; it covers what lies below, unless a
	// longer Dir does.
	Dir string
	// Allow are the folders of this module that may be imported, with all below; a
	// package may always import what lies below its own layer's Dir. "*" stands for all
	// but test.
	Allow []string
	// StdOnly forbids every import from outside of this module and the standard library
	// but of what is below Outside.
	StdOnly bool
	Outside []string
}

// Layers is the house, from the words that everybody shares up to the wiring. A
// package that no layer covers fails the check, so that a new one gets its place.
var Layers = []Layer{
	{Dir: "object", StdOnly: true},
	{Dir: "internal/budget", Allow: []string{"object"}},
	{Dir: "internal/secret", StdOnly: true},
	{Dir: "internal", Allow: []string{"object", "internal"}},
	{Dir: "internal/durable", StdOnly: true},
	{Dir: "internal/mtime", StdOnly: true},
	{Dir: "internal/parts", Allow: []string{"object"}, StdOnly: true},
	{Dir: "internal/pages", Allow: []string{"object"}, StdOnly: true},
	{Dir: "config", Allow: []string{"object", "internal"}, StdOnly: true, Outside: []string{"golang.org/x/crypto", "golang.org/x/text"}},
	{Dir: "s3remote", Allow: []string{"object", "internal"}},
	{Dir: "objcache", Allow: []string{"object", "internal"}},
	{Dir: "writeback", Allow: []string{"object", "internal"}},
	{Dir: "writeback/journal", Allow: []string{"internal/durable"}, StdOnly: true, Outside: []string{"golang.org/x/sys"}},
	{Dir: "vfs", Allow: []string{"object", "internal", "objcache", "writeback"}},
	{Dir: "fusefs", Allow: []string{"object", "internal", "vfs"}},
	{Dir: "transfer", Allow: []string{"object", "internal"}, StdOnly: true, Outside: []string{"golang.org/x/sync", "golang.org/x/sys", "golang.org/x/time"}},
	{Dir: "cmd", Allow: []string{"*"}},
	{Dir: "test", Allow: []string{"*", "test"}},
}

// Owner says that only some folders may import a module from outside.
type Owner struct {
	Import string   // import path; covers what lies below
	Dirs   []string // the folders that may
	Why    string
}

// Owners are the libraries that only one package may know.
var Owners = []Owner{
	{"github.com/hanwen/go-fuse", []string{"fusefs", "test/bench"}, "FUSE is known in fusefs only"},
	{"bazil.org/fuse", []string{"test/bench"}, "it is there to be compared with, and no dependency of the product"},
	{"github.com/aws", []string{"s3remote"}, "the SDK is known in s3remote only"},
	{"github.com/spf13", []string{"cmd"}, "the command line is cmd's"},
	{"github.com/rclone", []string{"internal/demoserver"}, "the S3 server of the demo is demoserver's"},
	{"golang.org/x/crypto", []string{"config"}, "what protects the config file is config's"},
	{"golang.org/x/text", []string{"config"}, "the form of passwords is config's"},
	{"golang.org/x/term", []string{"cmd"}, "the terminal is cmd's"},
	{"golang.org/x/time", []string{"transfer"}, "the speed of copies is transfer's"},
	{"github.com/hashicorp/golang-lru", []string{"objcache", "vfs", "fusefs", "writeback"}, "what is kept for a while is kept by the mount"},
	{"github.com/rogpeppe/go-internal", []string{"test/cli"}, "it is there for tests"},
	{"github.com/creack/pty", []string{"test"}, "it is there for tests"},
}

// homes are the beginnings of paths that exist on one machine only. The folder of the
// source itself, the one above it and the user's home are added when the check runs.
var homes = []string{"/home/", "/Users/", "/root/"}
