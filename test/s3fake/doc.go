// Package s3fake is an S3 server for tests: real HTTP on a loopback port, the
// protocol as AWS speaks it, and everything that a real store does only on its
// worst day at the push of a button.
//
// # What it is for
//
// A test of a remote file system needs three things that no real server gives: it
// must be able to say how long an answer takes (Options.Latency, Bandwidth), to
// count what was asked (Stats, Trace), and to fail one chosen request in one chosen
// way (Rule). The server does these over a socket, so that the client's connection
// pool, timeouts and retries are the real ones.
//
// # What it keeps, and how
//
// Objects live in memory as runs of 64 KiB chunks. Equal chunks are stored once, and
// bytes that come from a Pattern are recognised and stored as their first word, so a
// 4 GiB file written from a Pattern costs a few kilobytes and still reads back byte
// by byte. A prefix with a million generated keys (Virtual) costs nothing and is
// paged without being spelled out.
//
// # Where it differs from AWS
//
// Signatures are not verified: with Options.AccessKey set, the key's name is compared
// and the secret is not. There is one region, no versioning, ACL, policy, tagging or
// encryption; asking for one of those is answered 501 NotImplemented. Buckets are
// addressed by path only.
//
// A Server owns goroutines and a port: Close it. All methods may be called from any
// goroutine at any time.
package s3fake
