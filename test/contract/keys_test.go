package contract

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/semantics"
)

func TestOddKeysWorkOrAreRefused(t *testing.T) {
	semantics.Claim(t,
		"MinIO has no keys with an empty component inside, with the components . and .., or with one of more than 255 bytes: making them is EINVAL or ENAMETOOLONG.",
		"A store that takes one key for another, as MinIO takes /a for a and versitygw a//b for a/b, is found out: nothing under the other key is read, overwritten or deleted.")
	run(t, func(t *testing.T, e *env) {
		for name, key := range oddKeys {
			t.Run(name, func(t *testing.T) {
				e := *e
				e.T = t
				e.name = fmt.Sprintf("contract-%d", bucketNumber.Add(1))
				e.must(e.client.CreateBucket(e.ctx, e.name))
				e.bucket = e.open("")
				e.tryKey(name, key)
			})
		}
	})
}

// tryKey checks that a key does what the table says.
func (e *env) tryKey(name, key string) {
	e.Helper()
	if kinds := everywhere[name]; kinds != nil {
		e.isRefused(key, kinds)
	} else if kinds := e.store.refuses[name]; kinds != nil {
		e.isRefused(key, kinds)
	} else if other := e.store.becomes[name]; other != "" {
		e.isAnother(key, other)
	} else {
		e.works(key, cmp.Or(e.store.garbled[name], key))
		if e.store.noUpload[name] {
			_, err := e.bucket.CreateUpload(e.ctx, key, object.PutOptions{})
			e.kind(err, object.KindInvalid)
		} else if e.store.garbled[name] == "" {
			e.uploadTo(key)
		}
	}
}

// isAnother checks that a key does not reach what is under another one, for which the
// store takes it.
func (e *env) isAnother(key, other string) {
	e.Helper()
	info := e.put(other, "other")
	_, err := e.bucket.Put(e.ctx, key, section([]byte("data")), object.PutOptions{})
	e.kind(err, object.KindInvalid)
	_, err = e.bucket.Head(e.ctx, key)
	e.kind(err, object.KindInvalid, object.KindNotFound)
	_, err = e.bucket.Copy(e.ctx, info.ID(), key, object.CopyOptions{Size: 5})
	e.kind(err, object.KindInvalid)
	if err := e.bucket.Delete(e.ctx, key); err != nil {
		e.kind(err, object.KindInvalid)
	}
	if err := e.bucket.DeleteMany(e.ctx, []string{key}); err != nil {
		e.kind(err, object.KindInvalid)
	}
	e.holds(other, "other")
	keys, _, _, err := names(e.ctx, e.bucket, object.Query{})
	if err != nil || !slices.Equal(keys, []string{other}) {
		e.Errorf("listed: %q, %v; want %q", keys, err, other)
	}
}

// works checks that a key can be used for all that keys are used for, but uploads, and
// how it is listed.
func (e *env) works(key, listed string) {
	e.Helper()
	meta := object.Meta{"mtime": "1.5"}
	_, err := e.bucket.Put(e.ctx, key, section([]byte("data")), object.PutOptions{Meta: meta})
	if err != nil {
		e.Fatal("Put:", err)
	}
	e.holds(key, "data")
	e.listedAs(key, listed)
	info, err := e.bucket.Copy(e.ctx, object.ID{Key: key}, "copy", object.CopyOptions{Size: 4})
	if err != nil {
		e.Fatal("Copy from:", err)
	}
	if _, err := e.bucket.Copy(e.ctx, info.ID(), key, object.CopyOptions{Size: 4, Meta: object.Meta{"mtime": "2.5"}}); err != nil {
		e.Fatal("Copy to:", err)
	}
	if head, err := e.bucket.Head(e.ctx, key); err != nil || head.Meta["mtime"] != "2.5" {
		e.Errorf("after Copy: %+v, %v", head, err)
	}
	if err := e.bucket.DeleteMany(e.ctx, []string{key, "copy"}); err != nil {
		e.Error("DeleteMany:", err)
	}
	if _, err := e.bucket.Head(e.ctx, key); !object.Is(err, object.KindNotFound) {
		e.Errorf("after DeleteMany: %v", err)
	}
}

// listedAs checks that key is all that a listing shows, in each way to ask for it.
func (e *env) listedAs(key, listed string) {
	e.Helper()
	_, first := utf8.DecodeRuneInString(key)
	for _, q := range []object.Query{{}, {Prefix: key}, {Prefix: key[:first]}} {
		keys, _, _, err := names(e.ctx, e.bucket, q)
		if q.Prefix == key && listed != key && keys == nil {
			continue // the store seems to keep it under the other name
		}
		if err != nil || !slices.Equal(keys, []string{listed}) {
			e.Errorf("List(%+v): %q, %v", q, keys, err)
		}
	}
	keys, _, _, err := names(e.ctx, e.bucket, object.Query{After: listed})
	if err != nil || keys != nil {
		e.Errorf("List after it: %q, %v", keys, err)
	}
}

// uploadTo overwrites key by a multipart upload.
func (e *env) uploadTo(key string) {
	e.Helper()
	id, err := e.bucket.CreateUpload(e.ctx, key, object.PutOptions{})
	if err != nil {
		e.Error("CreateUpload:", err)
		return
	}
	if ups, err := e.bucket.ListUploads(e.ctx, key); err != nil || len(ups) != 1 || ups[0].Key != key {
		e.Errorf("ListUploads: %+v, %v", ups, err)
	}
	part, err := e.bucket.UploadPart(e.ctx, key, id, 1, section([]byte("parts")))
	if err != nil {
		e.Error("UploadPart:", err)
		return
	}
	if _, err := e.bucket.CompleteUpload(e.ctx, key, id, []object.Part{part}, object.Condition{}); err != nil {
		e.Error("CompleteUpload:", err)
		return
	}
	e.holds(key, "parts")
}

// isRefused checks that a key is refused clearly, and nothing is left of it.
func (e *env) isRefused(key string, kinds []object.Kind) {
	e.Helper()
	c := configOf(e.server)
	c.RetryDeadline = time.Second // one store says "try again"
	e.client = connect(e.T, c)
	e.bucket = e.open("")
	_, err := e.bucket.Put(e.ctx, key, section([]byte("data")), object.PutOptions{})
	e.kind(err, kinds...)
	e.put("plain", "data")
	_, err = e.bucket.Copy(e.ctx, object.ID{Key: "plain"}, key, object.CopyOptions{Size: 4})
	e.kind(err, kinds...)
	keys, _, _, err := names(e.ctx, e.bucket, object.Query{})
	if err != nil || !slices.Equal(keys, []string{"plain"}) {
		e.Errorf("the bucket holds %q, %v", keys, err)
	}
}

func TestOddKeysAreCopiedAndDeletedTogether(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		var keys []string
		for _, name := range slices.Sorted(maps.Keys(oddKeys)) {
			special := e.store.refuses[name] != nil || everywhere[name] != nil || e.store.becomes[name] != "" ||
				e.store.garbled[name] != ""
			if !special {
				keys = append(keys, oddKeys[name])
			}
		}
		for i := range 1001 {
			keys = append(keys, fmt.Sprintf("many/%04d", i))
		}
		slices.Sort(keys)
		e.putAll(keys)
		got, _, _, err := names(e.ctx, e.bucket, object.Query{})
		e.must(err)
		if !slices.Equal(got, keys) {
			t.Errorf("listed: %s", difference(got, keys))
		}
		e.must(e.bucket.DeleteMany(e.ctx, append(keys, "never there")))
		if got, _, _, err = names(e.ctx, e.bucket, object.Query{}); err != nil || got != nil {
			t.Errorf("%d keys are left: %.200q, %v", len(got), got, err)
		}
		e.must(e.bucket.DeleteMany(e.ctx, nil))
	})
}

func TestKeyBesideKeysBelowIt(t *testing.T) {
	semantics.Claim(t,
		"MinIO lists nothing of a/b beside an object a: a mount shows the file a alone.",
		"versitygw takes no key a beside a/b: making the second is an error.")
	run(t, func(t *testing.T, e *env) {
		e.put("a", "file")
		_, err := e.bucket.Put(e.ctx, "a/b", section([]byte("below")), object.PutOptions{})
		if e.store.fileOrFolder {
			e.kind(err, object.KindNotDir)
			e.holds("a", "file")
			return
		}
		e.must(err)
		e.holds("a", "file")
		e.holds("a/b", "below")
		keys, prefixes, _, err := names(e.ctx, e.bucket, object.Query{Delimiter: "/"})
		e.must(err)
		if hidden := prefixes == nil; hidden != e.store.hidesBelow || !hidden && !slices.Equal(prefixes, []string{"a/"}) {
			t.Errorf("prefixes %q", prefixes)
		}
		if !slices.Equal(keys, []string{"a"}) {
			t.Errorf("keys %q", keys)
		}
		keys, _, _, err = names(e.ctx, e.bucket, object.Query{})
		e.must(err)
		want := []string{"a", "a/b"}
		if e.store.hidesBelow {
			want = want[:1]
		}
		if !slices.Equal(keys, want) {
			t.Errorf("all keys: %q, want %q", keys, want)
		}
	})
}

// TestFolderMarkers is about the empty objects that stand for folders.
func TestFolderMarkers(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		meta := object.Meta{"mtime": "1.5", "mode": "16877"}
		_, err := e.bucket.Put(e.ctx, "dir/", section(nil), object.PutOptions{Meta: meta})
		e.must(err)
		info, err := e.bucket.Head(e.ctx, "dir/")
		e.must(err)
		if info.Size != 0 || info.Meta["mode"] != "16877" {
			t.Errorf("%+v", info)
		}
		keys, prefixes, _, err := names(e.ctx, e.bucket, object.Query{Delimiter: "/"})
		e.must(err)
		if keys != nil || !slices.Equal(prefixes, []string{"dir/"}) {
			t.Errorf("above it: keys %q, prefixes %q", keys, prefixes)
		}
		keys, prefixes, _, err = names(e.ctx, e.bucket, object.Query{Prefix: "dir/", Delimiter: "/"})
		e.must(err)
		if !slices.Equal(keys, []string{"dir/"}) || prefixes != nil {
			t.Errorf("in it: keys %q, prefixes %q", keys, prefixes)
		}
		e.put("dir/file", "x")
		e.must(e.bucket.Delete(e.ctx, "dir/"))
		e.holds("dir/file", "x")
		_, err = e.bucket.Copy(e.ctx, object.ID{Key: "dir/file"}, "dir2/file", object.CopyOptions{Size: 1})
		e.must(err)
		e.must(e.bucket.DeleteMany(e.ctx, []string{"dir/file", "dir2/file"}))
		if keys, prefixes, _, err = names(e.ctx, e.bucket, object.Query{Delimiter: "/"}); err != nil || keys != nil {
			t.Errorf("left: keys %q, prefixes %q, %v", keys, prefixes, err)
		}
	})
}
