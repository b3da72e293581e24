// Package objcache serves byte ranges of immutable object versions from memory and
// disk, and fetches each block once. Beside that it keeps what is known about
// objects (Metadata).
//
// # The idea
//
// An object.ID names bytes that never change, so a cached block is right for ever:
// nothing is ever invalidated, only evicted. A version is cut into blocks of
// Options.BlockSize. A block that is asked for and not in memory is loaded by one
// goroutine, from the disk if it is there and whole, else by a GET; everybody who
// wants it meanwhile waits for that one load. A load covers several adjacent blocks
// and hands each one out as soon as its bytes are there.
//
//	Reader.ReadAt ─► block in memory? ──yes──► copy
//	                  │ no: wait for its load, or start one
//	                  ▼
//	                 load ─► on disk with the right CRC32C? ─► block
//	                  │ no
//	                  ▼
//	                 GET of the missing range, pinned to the ETag ─► block ─► writer ─► disk
//
// A Reader that is read in order has blocks loaded ahead of it, in parallel, in a
// window that grows with what was read (see stream). A jump, or Close, gives up what
// was loaded ahead: loads that nobody waits for are canceled.
//
// # Memory
//
// Every byte of a block, also of one in flight, is in a buffer of the pool, whose
// total never exceeds Options.Memory. A block is pinned while somebody waits for it,
// copies from it, or writes it to disk; only blocks that are not pinned are evicted,
// so no read sees a buffer that was given away. Three quarters of the memory at most
// hold blocks that were loaded ahead and not read yet, in fair shares among the
// readers that have some. A demanded block takes the oldest block of others, and if
// all are pinned it does without a buffer: the range is streamed to the caller. So a
// demanded read never waits for memory, and no budget is too small to make progress.
//
// # Disk
//
// One sparse data file per version, named by the SHA-256 of key and ETag, and an
// index beside it that has a CRC32C per block. A block is believed only if its record
// in the index is whole and the bytes match it, so nothing needs fsync: whatever a
// crash leaves behind is found out when it is read, given up, and fetched again.
// Blocks are written by one goroutine, adjacent ones together, after the GETs under way
// or once a sixteenth of the memory waits. When the disk lags behind, no reader waits for
// it: blocks that wait are evicted after those that were read and are on disk, and one that
// is evicted before it was written is not cached.
// Whole objects are evicted, the least recently used first, when the cache or the staged
// files (budget.Disk.OnPressure) need the space, and while the disk has less free space
// than Options.MinFree. A disk that fails or is full ends the writing with one line in
// the log, and reads go on.
//
// A file that has all blocks can be given away to be read without the cache (Whole): by
// then this process has written or checked each block, the kernel has written them to
// the disk without an error, and the file's stamp (ctime, above all) shows that nobody
// has changed it since (see proof). Bits that the disk loses after that are not found
// out until the next mount. A file that is given away keeps its place; it can be taken
// back to be written (Take), and return as another version (Given).
//
// Another process may remove files at any time (Clear): what is missing is fetched again.
//
// Versions without an ETag can't be told apart: they are cached in memory for one
// Reader only, never on disk. The ETag that comes with its first bytes pins the others.
//
// # Failures
//
// A failed load reaches everybody who waits for it and is then forgotten: the next
// read tries again. A body that is too short, or too long, is an error; bytes are
// never invented. A version that is gone is KindStale, unless its blocks are cached.
package objcache
