package s3remote

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

// frozen answers as AWS does for the content of an archived object.
func frozen(w http.ResponseWriter, class string) {
	w.WriteHeader(http.StatusForbidden)
	if class != "" {
		class = "<StorageClass>" + class + "</StorageClass>"
	}
	fmt.Fprintf(w, "<Error><Code>InvalidObjectState</Code><Message>The operation is not valid for the object's storage class</Message>%s<RequestId>r</RequestId></Error>", class)
}

func TestArchivedObjectIsNamed(t *testing.T) {
	for class, want := range map[string]string{"": "GLACIER", "GLACIER": "GLACIER", "DEEP_ARCHIVE": "DEEP_ARCHIVE"} {
		s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { frozen(w, class) })
		text := "Object in " + want + ", restore first: path/to/file"
		_, err := b.Get(t.Context(), object.ID{Key: "path/to/file"}, object.Range{Len: 1})
		if e := wantKind(t, err, object.KindArchived); !strings.Contains(e.Error(), text) || e.Key != "path/to/file" {
			t.Errorf("%v", e)
		}
		for _, etag := range []string{"", "e"} { // with an ETag, the source is asked for another form of it
			_, err = b.Copy(t.Context(), object.ID{Key: "path/to/file", ETag: etag}, "dst", object.CopyOptions{})
			if e := wantKind(t, err, object.KindArchived); !strings.Contains(e.Error(), text) || e.Key != "path/to/file" {
				t.Errorf("%v", e)
			}
		}
		if s.count() != 3 {
			t.Errorf("%q", s.seen()) // nothing is tried again
		}
	}
}

func TestRestore(t *testing.T) {
	status, code := 202, ""
	s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {
		if code != "" {
			refuse(w, status, code)
			return
		}
		w.WriteHeader(status)
	})
	for _, c := range []struct {
		status int
		code   string
		want   RestoreState
		kind   object.Kind // KindOther: no error
	}{
		{202, "", Restoring, object.KindOther}, {200, "", Restored, object.KindOther},
		{409, "RestoreAlreadyInProgress", Restoring, object.KindOther},
		{403, "InvalidObjectState", NotArchived, object.KindArchived}, {404, "NoSuchKey", NotArchived, object.KindNotFound},
	} {
		status, code = c.status, c.code
		got, err := b.Restore(t.Context(), "a/b", RestoreOptions{Days: 3, Tier: "bulk"})
		if got != c.want || (err != nil) != (c.kind != object.KindOther) || (err != nil && !object.Is(err, c.kind)) {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
	r := s.request(1)
	if r.Method != http.MethodPost || r.URL.Path != "/bkt/a/b" || !r.URL.Query().Has("restore") {
		t.Errorf("%v", r)
	}
	for _, want := range []string{"<Days>3</Days>", "<Tier>Bulk</Tier>"} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("%s lacks %s", r.body, want)
		}
	}
	n := s.count()
	_, err := b.Restore(t.Context(), "k", RestoreOptions{Tier: "soon"})
	wantKind(t, err, object.KindInvalid)
	_, err = b.Restore(t.Context(), "k", RestoreOptions{Days: -1})
	wantKind(t, err, object.KindInvalid)
	if s.count() != n {
		t.Error("a request with wrong options")
	}
}

func TestRestoreStatus(t *testing.T) {
	until := time.Date(2012, 12, 21, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		class, restore, archive string
		want                    RestoreStatus
	}{
		{"", "", "", RestoreStatus{}},
		{"GLACIER_IR", "", "", RestoreStatus{Class: "GLACIER_IR"}},
		{"GLACIER", "", "", RestoreStatus{State: Archived, Class: "GLACIER"}},
		{"DEEP_ARCHIVE", `ongoing-request="true"`, "", RestoreStatus{State: Restoring, Class: "DEEP_ARCHIVE"}},
		{"GLACIER", `ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`, "", RestoreStatus{State: Restored, Class: "GLACIER", Until: until}},
		{"INTELLIGENT_TIERING", "", "ARCHIVE_ACCESS", RestoreStatus{State: Archived, Class: "INTELLIGENT_TIERING"}},
	} {
		_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			for name, value := range map[string]string{"X-Amz-Storage-Class": c.class, "X-Amz-Restore": c.restore, "X-Amz-Archive-Status": c.archive} {
				if value != "" {
					w.Header().Set(name, value)
				}
			}
			serveObject(w, r, "", "e")
		})
		got, err := b.RestoreStatus(t.Context(), "k")
		if err != nil || got != c.want {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
	}
}
