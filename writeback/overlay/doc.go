// Package overlay makes changes of a bucket stand at once and durably on this machine, and
// brings them to the store later, in an order that the store may show.
//
// # The idea
//
// An Overlay stands in front of a store and looks like it. A Put, Copy or Delete appends an
// intent to a journal (package journal) and returns once that is durable; List, Head and
// Get show what the store has with the pending intents on top. So whoever works on the
// Overlay (the file system, the cache, the queue of staged files) need not know of the
// delay. Behind its back, operations are sent to the store.
//
// A version that is not at the store yet has a local ETag (object.LocalETag). Its bytes are
// its own ranges, in the journal or in a file beside it, over those of a version beneath,
// which may be local or remote. Once it stands in the store, the Listener hears under which
// ID, and the local one stays an alias of that.
//
// # The order
//
// Puts and copies run in parallel. On one key everything runs in turn. A delete waits for
// all puts and copies before it, a put or copy for all deletes before it, a key for the
// marker of its folder, a reader of another version for that, and whoever destroys a
// version for its readers. An operation that the store refuses holds back only what would
// lose something, or show something wrong, without it: the same key, what reads it, and what
// destroys what it reads.
//
// A put, copy or delete is for the version that was there when it was promised. What somebody
// else has stored since is not overwritten and not deleted.
//
// What has not been sent yet may never be: the last of several versions of a key goes up in
// the place of the first; a copy of a version that is not stored becomes a put of its bytes;
// and a put whose key is deleted goes nowhere. To that end operations wait a moment
// (Options.Quiet).
//
// # After a crash
//
// Open reads the journal and goes on. An operation that was sent, and whose answer was not
// noted, is sent again: a put stores the same bytes, a delete finds nothing. Where a
// condition fails because the store has the first try already, size and metadata (with the
// time of the change in nanoseconds) tell so.
package overlay
