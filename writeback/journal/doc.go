// Package journal is an append-only log of records on the local disk: what was appended
// and synced is there again after a crash of the process or the machine, whole and in
// order, until it is released.
//
// # The files
//
// A folder holds segments, numbered files of a fixed size that are filled with zeros and
// synced before the first record goes in, so that a later fdatasync writes data only, and
// no metadata of the file system. A record is a frame: lengths, the segment's salt, how
// far the segment was synced when the frame was made, a CRC32C over all of it, then the
// head (what the record says) and the data (bytes that it carries). A record that does not
// fit begins the next segment, and a segment begins only once the one before is synced.
//
// A segment is deleted once none of its records is needed, and all before it are deleted:
// so a record that revokes an older one never goes first. Where one old record would keep
// many segments, it is written again at the end, and its segment goes (Options.Keep).
//
// # What a reader finds
//
// A frame whose checksum is wrong ends the log. It is a torn tail, of which nobody was
// promised anything, unless a later frame says that this place was synced, or a later
// segment exists: then the disk has lost what it had promised. Open uses everything before
// the damage, keeps the damaged segment and those behind it aside under another name, and
// returns a *DamageError that names them.
//
// # Syncs
//
// Callers that sync at the same time share one fdatasync. A failed one is final: nobody
// knows what the disk has after that, so the journal takes no more records.
package journal
