package writeback

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestSmallFileIsOnePut(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		if !s.Modified() {
			t.Fatal("a file that was never uploaded is not modified")
		}
		data := pattern(1000, 1)
		e.write(s, data, 0)
		info := e.upload(s, "a", meta("1"))
		obj, _ := e.store.object("a")
		if info.Key != "a" || info.Size != 1000 || info.ETag != obj.etag || info.Meta["mtime"] != "1" {
			t.Fatalf("info %+v", info)
		}
		if s.Modified() {
			t.Fatal("modified after the upload")
		}
		e.wantObject("a", data)
		e.wantContent(s, data)
		if again := e.upload(s, "a", meta("1")); again.ETag != info.ETag {
			t.Fatalf("a second upload of the same version: %+v", again)
		}
		e.wantCount("Put", 1)
	})
}

func TestEmptyFileIsUploaded(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		e.upload(e.stage(), "empty", object.PutOptions{})
		e.wantObject("empty", nil)
	})
}

func TestMetadataAloneIsACopy(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		e.write(s, pattern(10, 1), 0)
		e.upload(s, "a", meta("1"))
		info := e.upload(s, "a", meta("2"))
		obj, _ := e.store.object("a")
		if info.ETag != obj.etag || obj.opts.Meta["mtime"] != "2" {
			t.Fatalf("info %+v, stored %v", info, obj.opts)
		}
		e.wantCount("Put", 1)
		e.wantCount("Copy", 1)
	})
}

func TestPartsGoUpWhileTheFileIsWritten(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		s.SetTarget("big", meta("0"))
		data := pattern(5*testPart+77, 2)
		for off := 0; off < len(data); off += 10_000 {
			if off <= testOver && e.store.count("CreateUpload") > 0 {
				t.Fatal("a multipart upload was created before the file was large enough")
			}
			e.write(s, data[off:min(off+10_000, len(data))], int64(off))
			synctest.Wait()
		}
		e.wantCount("UploadPart", 5)
		info := e.upload(s, "big", meta("0"))
		e.wantCount("UploadPart", 6)
		e.wantCount("CompleteUpload", 1)
		e.wantCount("Copy", 0)
		e.wantObject("big", data)
		if info.Size != int64(len(data)) {
			t.Fatalf("info %+v", info)
		}
	})
}

func TestTheFinalMetadataReplacesThatOfTheCreation(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		s.SetTarget("big", meta("early"))
		data := pattern(4*testPart, 3)
		e.write(s, data, 0)
		synctest.Wait()
		info := e.upload(s, "big", meta("final"))
		obj, _ := e.store.object("big")
		if obj.opts.Meta["mtime"] != "final" || info.ETag != obj.etag || info.Meta["mtime"] != "final" {
			t.Fatalf("info %+v, stored %v", info, obj.opts)
		}
		e.wantCount("Copy", 1)
		e.wantObject("big", data)
	})
}

func TestFailedMetadataCopyIsAloneRepeated(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		deny := true
		e.store.hook = func(_ context.Context, op, key string, _ int) error {
			if op == "Copy" && deny {
				return object.Errorf(object.KindPermission, op, key, "")
			}
			return nil
		}
		s := e.stage()
		s.SetTarget("big", meta("early"))
		data := pattern(4*testPart, 3)
		e.write(s, data, 0)
		synctest.Wait()
		_, err := s.Upload("big", meta("final")).Wait(t.Context())
		e.wantKind(err, object.KindPermission)
		if !s.Modified() {
			t.Fatal("unmodified though its metadata is not stored")
		}
		deny = false
		e.upload(s, "big", meta("final"))
		e.wantCount("CompleteUpload", 1)
		e.wantCount("UploadPart", 4)
		e.wantCount("Copy", 2)
	})
}

// The store may give a copy another ETag than its source had, and the answer may get lost.
func TestMetadataCopyWithoutAnAnswerIsNoStrangersVersion(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		lost := false
		e.store.after = func(op, key string) error {
			if op != "Copy" || lost {
				return nil
			}
			lost = true
			return object.Errorf(object.KindTimeout, op, key, "")
		}
		s := e.stage()
		s.SetTarget("big", meta("early"))
		data := pattern(4*testPart, 3)
		e.write(s, data, 0)
		synctest.Wait()
		_, err := s.Upload("big", meta("final")).Wait(t.Context())
		e.wantKind(err, object.KindTimeout)
		e.upload(s, "big", meta("last"))
		e.wantObject("big", data)
	})
}

func TestCopyOverSomebodyElsesVersionIsStaleThenSentAgain(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		data := pattern(10, 1)
		e.write(s, data, 0)
		e.upload(s, "a", meta("1"))
		_ = e.store.locked(func() error { e.store.storeLocked("a", []byte("other"), object.PutOptions{}); return nil })
		_, err := s.Upload("a", meta("2")).Wait(t.Context())
		e.wantKind(err, object.KindStale)
		e.wantObject("a", []byte("other"))
		e.upload(s, "a", meta("2"))
		e.wantObject("a", data)
	})
}

func TestPartRewrittenAfterItWentUpGoesUpAgain(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		s.SetTarget("big", meta("0"))
		data := pattern(4*testPart, 4)
		e.write(s, data, 0)
		synctest.Wait()
		e.wantCount("UploadPart", 4)
		for range 3 {
			copy(data[testPart+100:], "changed")
			e.write(s, []byte("changed"), testPart+100)
			synctest.Wait()
		}
		e.wantCount("UploadPart", 4)
		e.upload(s, "big", meta("0"))
		e.wantCount("UploadPart", 5)
		e.wantObject("big", data)
	})
}

func TestPartRewrittenWhileItFliesIsIgnored(t *testing.T) {
	for _, result := range []error{nil, object.Errorf(object.KindInvalid, "UploadPart", "big", "BadDigest")} {
		inQueue(t, func(t *testing.T, e *env) {
			release := make(chan struct{})
			first := true
			e.store.hook = func(_ context.Context, op, _ string, number int) error {
				if op == "UploadPart" && number == 1 && first {
					first = false
					<-release
					return result
				}
				return nil
			}
			s := e.stage()
			s.SetTarget("big", meta("0"))
			data := pattern(4*testPart, 5)
			e.write(s, data, 0)
			synctest.Wait()
			copy(data, "new")
			e.write(s, []byte("new"), 0)
			ticket := s.Upload("big", meta("0"))
			synctest.Wait()
			close(release)
			if _, err := ticket.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			e.wantObject("big", data)
		})
	}
}

func TestTruncatedToSmallAfterEarlyPartsIsAPut(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		s.SetTarget("f", meta("0"))
		data := pattern(4*testPart, 6)
		e.write(s, data, 0)
		synctest.Wait()
		e.truncate(s, 100)
		e.upload(s, "f", meta("0"))
		e.wantObject("f", data[:100])
		synctest.Wait()
		if e.store.uploadCount() != 0 {
			t.Fatal("the multipart upload was not aborted")
		}
	})
}

func TestTruncatedInAPartAndGrownAgain(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		s.SetTarget("f", meta("0"))
		data := pattern(6*testPart, 7)
		e.write(s, data, 0)
		synctest.Wait()
		e.truncate(s, 3*testPart+5)
		e.truncate(s, 5*testPart)
		clear(data[3*testPart+5:])
		e.upload(s, "f", meta("0"))
		e.wantObject("f", data[:5*testPart])
		e.wantCount("UploadPart", 8)
	})
}

func TestAnotherTargetAbortsEarlyParts(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		s.SetTarget("old", meta("0"))
		data := pattern(4*testPart, 8)
		e.write(s, data, 0)
		synctest.Wait()
		s.SetTarget("new", meta("0"))
		synctest.Wait()
		e.wantCount("AbortUpload", 1)
		e.upload(s, "new", meta("0"))
		e.wantObject("new", data)
		s.SetTarget("", object.PutOptions{})
		e.write(s, data, 0)
		synctest.Wait()
		e.wantCount("CreateUpload", 2)
		if p := e.q.Pending(); len(p) != 0 {
			t.Fatalf("an unlinked file is pending: %v", p)
		}
	})
}

func TestFailedUploadLeavesTheFileAndResumes(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		deny := true
		e.store.hook = func(_ context.Context, op, key string, number int) error {
			if op == "UploadPart" && number == 6 && deny {
				return object.Errorf(object.KindUnavailable, op, key, "")
			}
			return nil
		}
		s := e.stage()
		s.SetTarget("big", meta("0"))
		data := pattern(6*testPart, 9)
		e.write(s, data, 0)
		synctest.Wait()
		_, err := s.Upload("big", meta("0")).Wait(t.Context())
		e.wantKind(err, object.KindUnavailable)
		if p := e.q.Pending(); len(p) != 1 || p[0].Key != "big" || p[0].Err == nil || p[0].Bytes != 6*testPart {
			t.Fatalf("pending: %+v", p)
		}
		synctest.Wait()
		deny = false
		before := e.store.count("UploadPart")
		e.upload(s, "big", meta("0"))
		if n := e.store.count("UploadPart") - before; n != 1 {
			t.Fatalf("%d parts were sent again", n)
		}
		e.wantObject("big", data)
		e.wantCount("CreateUpload", 1)
	})
}

func TestLostMultipartUploadIsBegunOnceMore(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		s.SetTarget("big", meta("0"))
		data := pattern(4*testPart+1, 10)
		e.write(s, data, 0)
		synctest.Wait()
		_ = e.store.locked(func() error { clear(e.store.mu.uploads); return nil })
		e.upload(s, "big", meta("0"))
		e.wantObject("big", data)
		e.wantCount("CreateUpload", 2)
	})
}

func TestCompleteWithALostAnswerIsRepairedByTheNextUpload(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		lose := true
		e.store.after = func(op, key string) error {
			if op == "CompleteUpload" && lose {
				lose = false
				return object.Errorf(object.KindTimeout, op, key, "")
			}
			return nil
		}
		s := e.stage()
		data := pattern(4*testPart+1, 11)
		e.write(s, data, 0)
		_, err := s.Upload("big", meta("0")).Wait(t.Context())
		e.wantKind(err, object.KindTimeout)
		e.upload(s, "big", meta("0"))
		e.wantObject("big", data)
	})
}

func TestWrongSizeFromTheStoreIsCorrupt(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		e.store.mu.size = func(n int64) int64 { return n - 1 }
		s := e.stage()
		e.write(s, pattern(100, 1), 0)
		_, err := s.Upload("a", meta("0")).Wait(t.Context())
		e.wantKind(err, object.KindCorrupt)
		e.write(s, pattern(4*testPart, 1), 0)
		_, err = s.Upload("a", meta("0")).Wait(t.Context())
		e.wantKind(err, object.KindCorrupt)
		if !s.Modified() {
			t.Fatal("unmodified")
		}
	})
}

func TestUploadBlocksWritersNotReaders(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		release := make(chan struct{})
		e.store.hook = func(_ context.Context, op, _ string, _ int) error {
			if op == "Put" {
				<-release
			}
			return nil
		}
		s := e.stage()
		e.write(s, []byte("one"), 0)
		ticket := s.Upload("a", meta("0"))
		synctest.Wait()
		e.wantContent(s, []byte("one"))
		if shared := s.Upload("a", meta("0")); shared != ticket {
			t.Fatal("an upload of the same version is not shared")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.WriteAt(ctx, []byte("two"), 0)
		e.wantKind(err, object.KindTimeout)
		wrote := make(chan error, 1)
		go func() {
			_, err := s.WriteAt(t.Context(), []byte("two"), 0)
			wrote <- err
		}()
		synctest.Wait()
		close(release)
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		if _, err := ticket.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.wantObject("a", []byte("one"))
		if !s.Modified() {
			t.Fatal("the write behind the snapshot is lost")
		}
		e.upload(s, "a", meta("0"))
		e.wantObject("a", []byte("two"))
	})
}

func TestRecordsAreDurableBeforeTheUploadExists(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		e.store.hook = func(_ context.Context, op, key string, _ int) error {
			if op != "CreateUpload" && op != "UploadPart" {
				return nil
			}
			names := e.names("uploads")
			if len(names) != 1 {
				return errors.New("want one record")
			}
			data, err := os.ReadFile(filepath.Join(e.dir, "uploads", names[0]))
			var rec record
			if err := errors.Join(err, json.Unmarshal(data, &rec)); err != nil {
				return err
			}
			if string(rec.Key) != key || (op == "CreateUpload") != (rec.UploadID == "") {
				return errors.New("record of something else")
			}
			return nil
		}
		s := e.stage()
		e.write(s, pattern(4*testPart, 1), 0)
		e.upload(s, "k\xff\n", meta("0"))
	})
}

func TestEarlyFailureIsNotFatalAndNotRepeated(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		deny := true
		e.store.hook = func(_ context.Context, op, key string, _ int) error {
			if deny {
				return object.Errorf(object.KindPermission, op, key, "")
			}
			return nil
		}
		s := e.stage()
		s.SetTarget("big", meta("0"))
		data := pattern(8*testPart, 12)
		for off := 0; off < len(data); off += testPart {
			e.write(s, data[off:off+testPart], int64(off))
			synctest.Wait()
		}
		e.wantCount("CreateUpload", 1)
		_, err := s.Upload("big", meta("0")).Wait(t.Context())
		e.wantKind(err, object.KindPermission)
		if n := len(e.names("uploads")); n != 0 {
			t.Fatalf("%d records of uploads that were never created", n)
		}
		deny = false
		e.upload(s, "big", meta("0"))
		e.wantObject("big", data)
	})
}

func TestEditOverABaseIsHydratedAndUploaded(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		data := pattern(3*hydrateChunk+17, 14)
		s, base := e.stageOver(bytes.Clone(data))
		if s.Modified() || s.MissingBytes() != int64(len(data)) {
			t.Fatalf("modified %v, missing %d", s.Modified(), s.MissingBytes())
		}
		e.wantContent(s, data)
		copy(data[5000:], "edit")
		e.write(s, []byte("edit"), 5000)
		e.wantContent(s, data)
		e.upload(s, "a", meta("1"))
		e.wantObject("a", data)
		if s.MissingBytes() != 0 || base.closedTimes() != 1 {
			t.Fatalf("missing %d, closed %d times", s.MissingBytes(), base.closedTimes())
		}
		e.wantContent(s, data)
	})
}

func TestUnreadableBaseFailsTheUploadOnly(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s, base := e.stageOver(pattern(10_000, 15))
		e.write(s, []byte("edit"), 5000)
		base.err = object.Errorf(object.KindStale, "Get", "a", "")
		_, err := s.Upload("a", meta("1")).Wait(t.Context())
		e.wantKind(err, object.KindStale)
		e.wantCount("Put", 0)
		base.err = nil
		e.upload(s, "a", meta("1"))
	})
}

func TestShortBaseIsCorrupt(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s, err := e.q.StageOver(object.ID{}, 200, (&fakeBase{data: pattern(100, 1)}).open)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.ReadAt(t.Context(), make([]byte, 200), 0)
		e.wantKind(err, object.KindCorrupt)
		e.wantKind(s.Hydrate(t.Context()), object.KindCorrupt)
	})
}

// Parts of a new file carry sums of their own. Those of one that the store has do not: some
// of them may be copied.
func TestNewFilesAreSummed(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		summed := map[string]bool{}
		e.store.hook = func(_ context.Context, op, key string, _ int) error {
			e.store.mu.Lock()
			defer e.store.mu.Unlock()
			if op == "UploadPart" {
				for _, u := range e.store.mu.uploads {
					summed[key] = u.opts.Summed
				}
			}
			return nil
		}
		data := pattern(testOver+100, 1)
		s := e.stage()
		e.write(s, data, 0)
		e.upload(s, "new", meta("1"))
		e.write(s, data[:50], 0)
		e.upload(s, "new again", meta("1"))
		if !summed["new"] || summed["new again"] {
			t.Errorf("summed: %v", summed)
		}
	})
}
