package transfer

import (
	"path/filepath"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// A key that ends in "/" and has bytes is a file, to the store that copies it as well.
func TestKeysWithASlashAtTheEndAreCopiedByTheStore(t *testing.T) {
	s := newStore(t)
	for _, k := range []string{"from/dir/", "from/dir/f", "from/a//b", "from//lead", "from/../up"} {
		s.b().Put(k, []byte(k), nil)
	}
	s.b().Put("from/marker/", nil, nil)
	must[Summary](t)(Sync(t.Context(), s.at("from"), s.at("to"), Options{}))
	equal(t, "copied", s.tree("to/"), "../up=from/../up /lead=from//lead a//b=from/a//b dir/=from/dir/ dir/f=from/dir/f")
	equal(t, "check", must[Summary](t)(Check(t.Context(), s.at("from"), s.at("to"), false, Options{Download: true})).Same, 5)
	if _, err := s.at("from").Stat(t.Context(), "marker/"); !object.Is(err, object.KindNotFound) {
		t.Errorf("a marker is a file: %v", err)
	}
}

// A folder that comes to be while a file of its name is fetched is named as what it is.
func TestAFolderThatComesInTheWay(t *testing.T) {
	f := newFolder(t)
	content := lateFolder{NewContent([]byte("x")), func() { f.write(filepath.Join("x", "y"), "1") }}
	_, err := f.ep().Put(t.Context(), "x", content, PutOptions{})
	if !object.Is(err, object.KindIsDir) {
		t.Errorf("%v", err)
	}
	equal(t, "tree", f.tree(), "x/y=1")
}

type lateFolder struct {
	Content
	come func()
}

func (l lateFolder) Unchanged() error {
	l.come()
	return nil
}

// What is immutable keeps its time, too.
func TestImmutableFilesKeepTheirTime(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "same", "new", "x")
	s.b().Put("a", []byte("same"), map[string]string{"mtime": "1600000000"})
	_, err := Copy(t.Context(), up.ep(), s.at(""), Options{Immutable: true})
	if !object.Is(err, object.KindExists) {
		t.Errorf("%v", err)
	}
	if o, _ := s.b().Head("a"); o.Meta["mtime"] != "1600000000" {
		t.Errorf("its time was set: %v", o.Meta)
	}
	equal(t, "tree", s.tree(""), "a=same new=x")
}
