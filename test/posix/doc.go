// Package posix is a conformance table: what POSIX and the man pages say of the calls that
// name, change and remove files, as thousands of checks that come from products, such as
// kind of file × owner of the folder × owner of the file × caller × call.
//
// The same table runs on a local folder, where every check must pass, since otherwise the
// table is wrong, and on a mount, where those of expected-failures.txt must fail and all
// others pass.
//
// A scenario has a folder of its own, which it is in, and names all files from there.
package posix
