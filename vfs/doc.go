// Package vfs is the file system: names, inodes, handles and the policy of what is
// consistent with what. It knows neither FUSE nor S3's protocol; fusefs translates the
// one, s3remote the other.
//
// # The idea
//
// A bucket is a flat list of keys. A folder is a prefix that some key has, or a marker
// (an empty object whose key ends in "/"). Files are objects; their POSIX attributes
// are user metadata on the object (see meta.go). An Inode stands for one name while
// the kernel knows it or a handle is open, and its content is in one of two states:
//
//   - clean: the bytes are those of one remote version, read through objcache by
//     its object.ID. They can't change under the inode.
//   - staged: the bytes are in a writeback.Staged, a sparse local file over that
//     version. close and fsync upload it and make the inode clean again.
//
// A version that somebody else replaced is never read as a mix: an inode with open
// handles keeps its version and dies with ESTALE where a byte of it is missing, and
// the name gets a new inode.
//
// A file may have several names, each with an object of its own: see links.go.
//
// # What is asked when
//
// Listings and attributes are trusted for Options.DirCacheTime. After that a lookup or
// an open asks the store again: one HEAD for the key and one LIST for the prefix, at
// the same time. A name that this mount has changed and not yet uploaded is local and
// asks nobody.
//
// # Locks
//
// In this order, each optional:
//
//	FS.ns       names against a folder's rename: taken shared by everything that turns
//	            names into keys, exclusively by a rename of a folder. Held across requests.
//	Inode.dirMu one folder's names: exclusively by what changes them, shared by lookups.
//	            Held across requests, as the kernel holds its own lock on the folder.
//	            Two at once the one nearer to the root first, then in the order of their NodeID.
//	Inode.mu    one file's content: held across the upload, since an upload is of one
//	            state of the file. Two at once only in the order of their NodeID.
//	FS.tree     the table: parents, names, children, reference counts, cached facts
//	            (Inode.t). A leaf, never held across a request.
//
// News for the kernel travels through Invalidator, called with no lock held.
package vfs
