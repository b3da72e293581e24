# A PostgreSQL cluster is made, used, stopped, and started again on a new mount.

bin=$(echo /usr/lib/postgresql/*/bin | tr ' ' '\n' | sort -V | tail -n 1)
sock=$LOCAL/run

as() { setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$bin:$PATH" HOME="$sock" LC_ALL=C.UTF-8 PGHOST="$sock" PGUSER=nobody PGDATABASE=postgres "$@"; }

start() { # start LOG
  as pg_ctl --silent --wait --timeout=120 -D "$PWD/data" -l "$sock/$1" -o "-k $sock -c listen_addresses='' -c shared_buffers=8MB" start ||
    { cat "$sock/$1"; false; }
}
stop() { as pg_ctl --silent --wait --timeout=120 -D "$PWD/data" --mode="$1" stop; }

work() {
  mkdir "$sock" data
  chown nobody "$sock" data
  chmod 700 data
  as initdb --no-locale --encoding=UTF8 --auth=trust --wal-segsize=1 -D "$PWD/data" >"$sock/initdb" 2>&1 || { cat "$sock/initdb"; false; }
  start first.log
  trap 'stop immediate' EXIT
  as pgbench --quiet --initialize --scale=1 2>"$sock/pgbench"
  as pgbench --client=2 --time="$SECONDS_OF_PGBENCH" --no-vacuum >>"$sock/pgbench" 2>&1 || { cat "$sock/pgbench"; false; }
  sums >"$LOCAL/before"
  stop immediate # without a checkpoint: the log has to be played back
  start second.log
  grep -q 'not properly shut down' "$sock/second.log"
  sums | diff - "$LOCAL/before"
  trap - EXIT
  stop fast
}

# sums are equal in a sound TPC-B, and tell how far it came.
sums() {
  as psql --quiet --no-align --tuples-only --command '
    SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history),
      (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches),
      (SELECT count(*) FROM pgbench_history), (SELECT sum(delta) FROM pgbench_history)'
}

check() {
  start third.log
  trap 'stop immediate' EXIT
  sums | diff - "$LOCAL/before"
  grep -q '^t|t|[1-9]' "$LOCAL/before"
  ! grep -E 'PANIC|ERROR|not properly shut down|recovery' "$sock/third.log"
  trap - EXIT
  stop fast
}
