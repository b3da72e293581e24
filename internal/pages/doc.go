// Package pages lists a prefix page by page and in order, asking for several pages at
// the same time.
//
// # The idea
//
// A listing tells where to go on only at the end of each page, so that a thousand keys
// cost the time of a request, one after the other. But a listing can begin behind any
// text (object.Query.After), whether there is such a key or not. So the keys that have
// come tell where others may be: after f000 to f0999 come f1, f2 … f9, and then g. A
// Stream begins a segment at each such guess and lists them at the same time.
//
// A guess can be wrong, and nothing goes wrong with it: a segment ends where the next one
// begins, and one without keys is a request for nothing. Guesses of one kind are made one
// at a time until the first of them finds something. A request that finds the end, or goes
// past the segment's end, ends or feeds the segments that it went through.
//
// Guessing begins with the second page: a listing of one page costs one request.
package pages
