// Package transfer makes one side like another: it is the engine under copy, sync,
// check, delete, purge and the listings. A side is an Endpoint, a local folder or what is
// under a prefix of a bucket.
//
// # The idea
//
// Both sides are walked in the same order, that of the bytes of paths in which a folder's
// name ends in "/". So they can be joined like two sorted files (Merge), with one file of
// each in memory, however many there are. What is to be done about a pair is decided by
// a function of the two files and the Options alone (decide), which may answer that it
// needs times or sums first. The rest is workers: Checkers find out what a decision needs,
// Transfers copy. A walk of a bucket lists many shards at the same time, and yields them
// in order; see shard.
//
// # What counts as the same
//
// Two files of one size and time. The time of an object is in its metadata, which no
// listing tells, so that it takes a HEAD, but only for files that both sides have with
// the same size. Where only times differ and the MD5 sums are known and equal, the time
// is set and nothing is sent. Files over BucketOptions.Cutoff go up in parts, which leaves
// them without a sum of their own: it is put into the metadata, where rclone looks, too.
//
// # What is promised
//
// A file is under its final name as a whole or not at all. A local one is written beside
// it and renamed; an object shows when all of it is there. What is read is one version:
// a local file that changes meanwhile is an error of KindStale, an object is pinned by
// its ETag. Uploads carry their sum, downloads are compared with theirs. What was in the
// destination stays until its successor is complete.
//
// Sync deletes at its very end, and nothing if any file failed, or if any folder of either
// side could not be listed to its end. What is to be deleted is kept as a list, in a
// temporary file when it is long: a second walk could find files that came after the
// plan, and delete what nobody decided to. MaxDelete counts that list before the first
// file goes. A file of the destination that stands where a folder is to be, or the
// other way round, is the one case in which deletes come before a copy: all other files
// are copied by then.
//
// Nothing is written outside of a local destination, whatever a key is called and
// whatever links lie there: paths go through an os.Root. Keys that are no local path
// ("a//b", "..") are an error each.
//
// # What can go wrong
//
// One file's failure is reported and counted, and the others go on; those that may pass
// are tried again at the end, Options.Retries in all. Credentials that are refused and
// the like would fail each file the same way, and end the call. A canceled context ends
// it within a request: partial files are removed and uploads given up, which has a
// deadline of its own. A process that is killed leaves files called ".NAME.RANDOM.partial"
// and unfinished uploads.
//
// Local files are not synced to the disk. An object that is overwritten between the
// listing and its fetch is KindStale, and is looked at again; one that is overwritten in
// the destination between its listing and its Put is lost, as with any copy. The names
// of one local folder at a time (and of those above) are held in memory.
package transfer
