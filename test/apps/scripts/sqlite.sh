# A database in each of the usual journal modes; its application is killed in a transaction.

sql() { sqlite3 -bail -cmd '.timeout 60000' "$@"; }

content() { sql "$1" 'PRAGMA integrity_check; SELECT count(*), sum(a), sum(length(b)) FROM t'; }

insert() {
  echo 'BEGIN IMMEDIATE;'
  seq "$1" "$2" | sed "s/.*/INSERT INTO t VALUES (&, hex(zeroblob(200)) || '&');/"
  echo 'COMMIT;'
}

work() {
  for mode in wal delete persist; do
    db=$mode.db
    [ "$(sql "$db" "PRAGMA journal_mode=$mode")" = "$mode" ]
    sql "$db" 'CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)'
    insert 1 300 | sql "$db"
    sql "$db" 'DELETE FROM t WHERE a % 7 = 3'
    content "$db" >"$LOCAL/$mode"
    killed "$db"
    content "$db" | diff - "$LOCAL/$mode"
    sql "$db" VACUUM
    content "$db" | diff - "$LOCAL/$mode"
  done
  head -n 1 "$LOCAL/wal" | grep -qx ok
}

# killed kills an application in the middle of a transaction that is partly on the disk.
killed() {
  local pid
  coproc app { exec sqlite3 -bail "$1"; }
  pid=$app_PID
  echo 'PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN IMMEDIATE; UPDATE t SET b = b || b; SELECT 7;' >&"${app[1]}"
  read -r _ <&"${app[0]}"
  kill -9 "$pid"
  wait "$pid" || true # it was killed
}

check() {
  for mode in wal delete persist; do content "$mode.db" | diff - "$LOCAL/$mode"; done
  insert 1000 1010 | sql wal.db
  [ "$(sql wal.db 'PRAGMA integrity_check')" = ok ]
}
