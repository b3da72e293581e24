module github.com/s3mount/s3mount/test/bench

go 1.26.0

// The program itself, for the benchmarks that drive it.
replace github.com/s3mount/s3mount => ../..

require (
	bazil.org/fuse v0.0.0-20230120002735-62a210ff1fd5
	github.com/hanwen/go-fuse/v2 v2.12.1
	github.com/s3mount/s3mount v0.0.0-00010101000000-000000000000
	golang.org/x/sync v0.24.0
	golang.org/x/sys v0.49.0
)
