// Package fusefs translates the kernel's FUSE protocol to vfs and back, and nothing
// else: it has no state but the tables of open handles. go-fuse is imported here only,
// and the errnos of all failures are in one table (errno.go).
//
// Every request runs in a goroutine of go-fuse. Its context ends when the kernel says
// that the caller was interrupted by a signal that ends it (see interrupt.go). Requests
// have no deadline here: the store's own bounds each of them.
package fusefs
