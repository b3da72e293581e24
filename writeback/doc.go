// Package writeback makes local edits into remote versions, with exactly one upload
// for each version.
//
// # The idea
//
// S3 takes whole objects; applications write bytes. Between the two stands a Staged:
// a sparse local file that holds what the application wrote, over an optional Base,
// the remote version that is being edited. Bytes that were never written locally are
// read from the base; bytes behind the base's end are zeros. Upload freezes a Staged,
// fetches what it lacks, and stores the whole as one new version: by one Put when it
// is small, by a multipart upload when it is not. The Ticket tells what the store said.
//
// A file that is certain to need a multipart upload starts it while the application
// still writes: each part that is written from end to end goes up in the background,
// once (an "early part"). A part that is changed afterwards goes up again at Upload.
// What the early upload could not know, the final metadata, is put right after
// Complete by a server-side copy of the object onto itself.
//
// # What is promised
//
//   - A ticket without an error means: the store has confirmed a version of exactly the
//     bytes and the metadata of the moment when Upload took hold of the file.
//   - A ticket with an error means: the Staged is as modified as before, nothing of it
//     is lost, and a later Upload tries again, reusing the parts that did go up. Whether
//     the store took a version whose confirmation got lost, nobody knows; the repeat
//     stores the same bytes again.
//   - The part list of a multipart upload is checked against the layout before it is
//     sent, and the size that the store tells is checked after. A difference is
//     KindCorrupt, never success.
//   - Disk space is reserved from the shared budget before it is used, by blocks of 4 KiB,
//     and given back when the file is closed for good.
//
// # What can go wrong, and what happens then
//
//   - The disk or its budget is full: KindNoSpace from WriteAt or Hydrate. What the call
//     had already written counts and is returned as n; nothing else changes.
//   - The base cannot be read: the read, Hydrate or Upload returns its error. Bytes are
//     never guessed.
//   - An early part fails for good: early parts of that file stop, and the Upload tries
//     again and reports.
//   - The multipart upload disappears from the store (a lifecycle rule): Upload starts it
//     once more from the beginning.
//   - The process dies: before a multipart upload is created, a record of the intent is
//     made durable in Options.Dir; Recover of the next process aborts what it finds there.
//     The staged files of a dead process are deleted: nothing that was confirmed is in
//     them (a close or fsync returns only after its ticket).
//
// Options.Dir belongs to one bucket and prefix, since records name keys only, and to one
// process at a time, which a file lock enforces.
//
// # Who blocks whom
//
// Each Staged has a gate, a lock that waits with a context. WriteAt, Truncate, the
// placing step of Hydrate, Detach and Keep hold it for their local work; the goroutine
// of a Ticket holds it from its snapshot until the store has answered. So an Upload
// blocks the writers of its file, and only those, for its duration; a blocked writer
// leaves when its context ends. Readers never take the gate.
//
// Lock order: gate < Staged.mu < multipart.mu < the leaves (Queue.mu, slots.mu, shared.mu,
// budget). Only the gate is held across network or disk, with one exception that its
// comment explains (Staged.resize).
//
// # Who owns the goroutines
//
// All belong to the Queue and end with its Close: one for each Ticket that is not done,
// up to Options.PerFile senders for each multipart upload with work to do, and one for
// each abort. Requests in flight, over all files, are bounded by Options.Parallel; those
// that somebody waits for (a Ticket's) go before early parts and aborts.
package writeback
