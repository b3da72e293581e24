package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/transfer"
)

// place is an argument of a command on files: a local path, a remote, or a path in it.
type place struct {
	arg    string
	remote config.RemotePath
	local  bool

	client *s3remote.Client // of a remote
	bucket *s3remote.Bucket // the whole of it; nil where the remote alone is named
	config s3remote.Config  // of a remote

	make bool // the bucket is made when something is written to it

	// root is the folder: that of the argument or, if it is a file, the one around it.
	root transfer.Endpoint
	// file is the name of the file in root; empty if the argument is a folder, or may be.
	file string
}

// isLocal reports whether an argument is a local path. As with rclone, one with a colon
// is a remote unless a "/" stands before it: ./a:b is a file.
func isLocal(arg string) bool {
	i := strings.IndexAny(arg, ":/")
	return i < 0 || arg[i] == '/'
}

// parseArg reads an argument without looking at what it names.
func parseArg(arg string) (place, error) {
	if arg == "" {
		return place{}, usageError{errors.New("an argument is empty: write a path, or remote:bucket/path")}
	}
	if isLocal(arg) {
		return place{arg: arg, local: true}, nil
	}
	p, err := config.ParsePath(arg)
	if err != nil {
		if !strings.Contains(arg, ",") { // no options: no secrets
			err = fmt.Errorf("%q: %w", arg, err)
		}
		return place{}, usageError{hinted(err, "write remote:bucket/path, or ./ before the name of a local file")}
	}
	return place{arg: arg, remote: p}, nil
}

// String is the argument as errors show it: without options, which may be secret.
func (p place) String() string {
	if p.local {
		return p.arg
	}
	return p.remote.String()
}

// what open looks for.
type wanted uint8

const (
	wantFolder  wanted = iota // the argument is a folder, also if a file has its name
	wantTarget                // a folder: a file is refused; its bucket is made by the first write
	wantAny                   // a file if there is one, else a folder
	wantAccount               // wantAny, and a remote without a bucket shows all buckets
)

// open finds what an argument names. But for wantFolder, a request may be made to find out
// whether it is a file.
func (j *job) open(ctx context.Context, arg string, want wanted) (place, error) {
	p, err := parseArg(arg)
	if err != nil {
		return p, err
	}
	if p.local {
		err := j.openLocal(&p, want)
		return p, err
	}
	r, err := j.connect(ctx, p)
	if err != nil {
		return p, err
	}
	p.client, p.config = r.client, r.config
	if p.remote.Bucket == "" {
		if want != wantAccount {
			return p, usageError{fmt.Errorf("%s names no bucket: write %sbucket", p, p)}
		}
		p.root = j.account(p)
		return p, nil
	}
	if p.bucket, err = p.client.Bucket(p.remote.Bucket, ""); err != nil {
		return p, hinted(err, "write remote:bucket/path")
	}
	p.make = want == wantTarget
	err = j.openBucketPath(ctx, &p, want)
	return p, err
}

func (j *job) openLocal(p *place, want wanted) error {
	path := p.arg
	fi, err := os.Stat(path)
	switch {
	case want < wantAny:
	case errors.Is(err, os.ErrNotExist):
		return coded(exitNoDir, fmt.Errorf("%s is not there", path))
	case err == nil && !fi.IsDir():
		p.file = filepath.Base(path)
		path = filepath.Dir(path)
	}
	p.root, err = transfer.NewLocal(path, transfer.LocalOptions{Notes: j.log, CopyLinks: j.flags.copyLinks})
	if object.Is(err, object.KindNotDir) {
		return fmt.Errorf("%s is a file, not a folder", p.arg)
	}
	return err
}

func (j *job) openBucketPath(ctx context.Context, p *place, want wanted) error {
	prefix := p.remote.Prefix
	if want > wantFolder && p.remote.Path != "" && !strings.HasSuffix(p.remote.Path, "/") {
		_, err := p.bucket.Head(ctx, p.remote.Path)
		switch kind := object.KindOf(err); {
		case err != nil && (kind == object.KindNotFound || kind == object.KindPermission || kind == object.KindNoBucket):
			// A folder, or what a listing tells better.
		case err != nil:
			return p.explain(err)
		case want == wantTarget: // some stores would take files below a file, and never list them
			return fmt.Errorf("%s is a file, not a folder: write %s/ for a folder of that name", p, p)
		default:
			dir := strings.LastIndexByte(p.remote.Path, '/') + 1
			prefix, p.file = p.remote.Path[:dir], p.remote.Path[dir:]
		}
	}
	var err error
	p.root, err = j.endpoint(p, p.store(), prefix)
	return err
}

// endpoint makes the endpoint of a prefix of a store.
func (j *job) endpoint(p *place, s transfer.Store, prefix string) (transfer.Endpoint, error) {
	cutoff := p.config.UploadCutoff
	if cutoff > 0 {
		cutoff++ // what is as large as upload_cutoff is sent whole
	}
	return transfer.NewBucket(s, prefix, transfer.BucketOptions{
		Name: p.String(), Checkers: int(j.flags.checkers), NoMD5: p.config.DisableChecksum,
		Cutoff: cutoff, PartSize: p.config.ChunkSize, Parallel: p.config.UploadConcurrency,
	})
}

// store is the bucket, as the endpoint uses it.
func (p *place) store() transfer.Store {
	if !p.make || p.config.NoCheckBucket {
		return p.bucket
	}
	name := p.remote.Bucket
	return &newBucket{Bucket: p.bucket, create: func(ctx context.Context) error { return p.client.CreateBucket(ctx, name) }}
}

// where tells places apart, whatever they are called: of two that lie in one another, the
// outer one's is a prefix of the inner one's.
func (p *place) where() string {
	if !p.local {
		return "s3 " + strings.TrimSuffix(p.bucket.Place(), "/") + "/" + p.remote.Prefix
	}
	return "local " + strings.TrimSuffix(transfer.RealPath(p.arg), "/") + "/"
}

// path is the path of the argument within its bucket.
func (p *place) path() string { return strings.TrimSuffix(p.remote.Path, "/") }

// explain names the place in a failure, and adds what can be done about it.
func (p *place) explain(err error) error {
	if err == nil {
		return nil
	}
	return withHint(fmt.Errorf("%s: %w", p, brief(err)))
}

// fileHints tells what to do when a command on files fails.
var fileHints = map[object.Kind]string{
	object.KindNoBucket:    "check the bucket's name, or make it with s3mount mkdir",
	object.KindCredentials: checkHints[object.KindCredentials],
	object.KindWrongRegion: checkHints[object.KindWrongRegion],
	object.KindClockSkew:   checkHints[object.KindClockSkew],
	object.KindUnavailable: checkHints[object.KindUnavailable],
	object.KindArchived:    "s3mount restore makes it readable",
}

// withHint adds to an error what to do about it.
func withHint(err error) error { return hinted(err, fileHints[object.KindOf(err)]) }

// remote is a remote that the job is connected to.
type remote struct {
	client *s3remote.Client
	config s3remote.Config
}

// connect finds a remote and connects to it: once for all arguments that name it.
func (j *job) connect(ctx context.Context, p place) (remote, error) {
	key := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(p.arg, p.remote.Path), "/"), p.remote.Bucket)
	if known, ok := j.remotes[key]; ok {
		return known, nil
	}
	c, err := j.remoteConfig(ctx, p.remote, j.log)
	if err != nil {
		return remote{}, coded(exitError, err)
	}
	c.RetryDeadline = j.flags.retryFor
	if j.limiter != nil {
		c.Dial = j.limiter.Dial(nil)
	}
	client, err := s3remote.New(ctx, c)
	if err != nil {
		return remote{}, fmt.Errorf("%s: %w", p, err)
	}
	j.remotes[key] = remote{client, c}
	return j.remotes[key], nil
}
