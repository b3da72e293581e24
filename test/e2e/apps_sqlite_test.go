package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

// sqlite runs SQL on a database and returns what it printed. A database that is locked
// is waited for.
func sqlite(t testing.TB, db, sql string) string {
	t.Helper()
	out, err := trySQLite(db, sql)
	if err != nil {
		t.Fatalf("sqlite3: %v\n%s", err, out)
	}
	return strings.TrimSpace(out)
}

func trySQLite(db, sql string) (string, error) {
	return try("/", "sqlite3", "-bail", "-cmd", ".timeout 60000", db, sql)
}

// insert is SQL that inserts rows in one transaction.
func insert(from, to int) string {
	var b strings.Builder
	b.WriteString("BEGIN IMMEDIATE;")
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "INSERT INTO t VALUES (%d, '%s');", i, strings.Repeat(fmt.Sprint("row ", i, " "), 20))
	}
	b.WriteString("COMMIT;")
	return b.String()
}

const sqlCheck = "PRAGMA integrity_check; SELECT count(*), sum(a), sum(length(b)) FROM t;"

func TestSQLite(t *testing.T) {
	for _, mode := range []string{"delete", "wal"} {
		t.Run(mode, func(t *testing.T) {
			eachServer(t, func(t *testing.T, s servers.Server) { sqliteJournal(t, s, mode) })
		})
	}
}

// sqliteJournal works on a database in one of SQLite's journal modes. WAL keeps its
// index in a shared mapping of the file db-shm.
func sqliteJournal(t *testing.T, s servers.Server, mode string) {
	m, b := newMount(t, s)
	db := m.Dir + "/db"
	same(t, "journal mode", sqlite(t, db, "PRAGMA journal_mode="+mode), mode)
	sqlite(t, db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
	for i := 0; i < 200; i += 50 {
		sqlite(t, db, insert(i, i+50))
	}
	sqlite(t, db, "BEGIN; DELETE FROM t; ROLLBACK")
	sqlite(t, db, "DELETE FROM t WHERE a % 4 = 2")
	want := sqlite(t, db, sqlCheck)
	sqlite(t, db, "VACUUM")
	same(t, "after VACUUM", sqlite(t, db, sqlCheck), want)
	if !strings.HasPrefix(want, "ok\n150|") {
		t.Errorf("the database has %q", want)
	}
	m.Remount(true)
	same(t, "after a remount", sqlite(t, db, sqlCheck), want)
	same(t, "journal mode after a remount", sqlite(t, db, "PRAGMA journal_mode"), mode)
	local := t.TempDir() + "/db"
	write(t, local, get(t, b, "db"))
	same(t, "the object", sqlite(t, local, sqlCheck), want)
	same(t, "what is left beside it", strings.Join(names(t, m.Dir), " "), "db")
	sqliteTogether(t, db)
	sqliteDies(t, m, db)
}

// sqliteTogether inserts by three processes at the same time.
func sqliteTogether(t testing.TB, db string) {
	t.Helper()
	before := sqlite(t, db, "SELECT count(*) FROM t")
	errs := make(chan error)
	for i := range 3 {
		go func() {
			for j := range 3 {
				out, err := trySQLite(db, insert(1000+100*i+10*j, 1010+100*i+10*j))
				if err != nil {
					errs <- fmt.Errorf("%w\n%s", err, out)
					return
				}
			}
			errs <- nil
		}()
	}
	for range 3 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	same(t, "rows after three writers", sqlite(t, db, "SELECT count(*) - 90 FROM t"), before)
	same(t, "after three writers", sqlite(t, db, "PRAGMA integrity_check"), "ok")
}

// sqliteDies kills s3mount while a transaction is half written: the next mount has the
// database as it was before it.
func sqliteDies(t testing.TB, m *mounts.Mount, db string) {
	t.Helper()
	want := sqlite(t, db, sqlCheck)
	half := startSQLite(t, db, "PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN IMMEDIATE; UPDATE t SET b = b || b;\nSELECT 'half';\n")
	m.Kill()
	half()
	m.Revive()
	same(t, "after the mount died in a transaction", sqlite(t, db, sqlCheck), want)
}

// startSQLite runs SQL, the last of which prints something, and returns once it did. The
// database stays open until end is called.
func startSQLite(t testing.TB, db, sql string) (end func()) {
	t.Helper()
	c := exec.Command("sqlite3", "-bail", db)
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	c.Stderr = os.Stderr
	must(t, c.Start())
	end = sync.OnceFunc(func() {
		c.Process.Kill()
		c.Wait()
	})
	t.Cleanup(end)
	_, err = io.WriteString(in, sql)
	must(t, err)
	_, err = io.ReadFull(out, make([]byte, 1))
	must(t, err)
	return end
}
