// Package treemove moves all objects under one prefix to another: what a file system does
// when a folder gets a new name, in a store that can't rename.
//
// # The idea
//
// Every object is copied within the store, in parallel; only when all copies stand are the
// old keys deleted, many in a request. So there is no moment at which an object is under
// neither key. What a process that dies would leave behind, half of a folder under its new
// name or all of it under both, is the work of the next one: a small record on the local
// disk tells of the move before its first copy, and tells its phase. In the phase of copying
// the move is undone, in the phase of deleting it is finished. The record holds no keys:
// what is to be done follows from comparing the two prefixes, page by page, so that a
// move of a million objects needs no more memory than one of a thousand.
//
// # What others do meanwhile
//
// Nothing is deleted but an object that has its twin, of the same size and version, under
// the other prefix: what somebody else has put under either one since then stays. In doubt
// both stay, and the log says how many.
package treemove
