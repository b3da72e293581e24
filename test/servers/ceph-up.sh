#!/bin/bash
# ceph-up.sh - one real Ceph object gateway (S3) from Debian's packages, for tests.
#
#   ceph-up.sh run   DIR PORT   start a cluster in DIR, S3 on 127.0.0.1:PORT; at the end of
#                               stdin kill it and delete DIR (nothing is left of a test that died)
#   ceph-up.sh start DIR PORT   start it, or start it again, and leave it running
#   ceph-up.sh stop  DIR        stop radosgw, osd and mon; the data in DIR stays
#   ceph-up.sh status DIR       a line per daemon: name, pid, RSS (exit 0 if all run)
#   ceph-up.sh env   DIR        print the endpoint and the keys again
#   ceph-up.sh admin DIR ARGS   radosgw-admin ARGS against that cluster
#   ceph-up.sh wipe  DIR        stop, then delete DIR
#
# stdout of run, start and env is KEY=VALUE lines only; progress and errors go to stderr.
# No root, systemd, manager daemon or block device is needed. All listens on 127.0.0.1:
#   PORT      radosgw, http         PORT+1           radosgw, https (with CEPH_UP_TLS=1)
#   PORT+2    mon (msgr2)           PORT+10..+39     osd (msgr2)
#
# Options, taken by the first start of a DIR and kept in it:
#   CEPH_UP_STORE=memstore|bluestore  memstore (default) holds objects in the osd's memory and
#                              writes them to DIR on a clean stop only; bluestore is a sparse file
#   CEPH_UP_SIZE=8589934592    capacity in bytes
#   CEPH_UP_REGION=NAME        the zonegroup's api_name; "default" if empty
#   CEPH_UP_TLS=1              also serve https with a self-signed certificate
#   CEPH_UP_CONF='k = v\n...'  more lines for [client.rgw]
#
# README.md beside this file says what each odd setting is for.
set -uo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
# The ceph tools read these; a stray value would point them at another cluster.
unset CEPH_CONF CEPH_ARGS CEPH_KEYRING
# Debian's tools live here; keep a pyenv/asdf python from shadowing anything.
PATH=/usr/sbin:/usr/bin:/sbin:/bin

A_KEY=CEPHALICEACCESSKEY01
A_SECRET=aliceSecretKey0123456789abcdefABCDEF0123
B_KEY=CEPHBOBBYACCESSKEY02
B_SECRET=bob/Secret+Key/0123456789/abcdefABCDEF0/

FRESH=                       # set while create runs: a failure takes its daemons down
say()  { echo "ceph-up: $*" >&2; }
die()  { say "$*"; [ -z "$FRESH" ] || { FRESH=; stop_all; }; exit 1; }
usage() { sed -n '4,11p' "$0" >&2; exit 2; }

CMD=${1:-}; DIR=${2:-}
[ -n "$CMD" ] && [ -n "$DIR" ] || usage
case $DIR in *[[:space:]]*) die "DIR must not contain blanks";; esac
DIR=$(readlink -m -- "$DIR")
[ "$DIR" != / ] || die "DIR must not be /"
CONF=$DIR/ceph.conf
MARK=$DIR/.ceph-up           # this DIR is ours (wipe needs it)
CLEAN=$DIR/.clean            # the last stop was clean (memstore was saved)

# ---------------------------------------------------------------- processes
pid_of() {                   # pid_of NAME: pid of our running daemon, or fail
  local f=$DIR/run/$1.pid p
  [ -s "$f" ] || return 1
  read -r p < "$f" || return 1
  case $p in ''|*[!0-9]*) return 1;; esac
  [ -r "/proc/$p/cmdline" ] || return 1
  # our own config path is in its command line: a reused pid can't match
  tr '\0' '\n' < "/proc/$p/cmdline" | grep -qxF -- "$CONF" || return 1
  echo "$p"
}
launch() {                   # launch NAME COMMAND...: in the background, own session
  local name=$1; shift
  # 9 is the lock: a daemon must not inherit it
  setsid "$@" </dev/null >>"$DIR/log/$name.out" 2>&1 9>&- &
  echo $! > "$DIR/run/$name.pid"
  disown
}
halt() {                     # halt NAME SECONDS: SIGTERM, wait, SIGKILL as a last resort
  local p n=0
  p=$(pid_of "$1") || { rm -f "$DIR/run/$1.pid"; return 0; }
  kill -TERM "$p"
  while [ -d "/proc/$p" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$p/status" 2>/dev/null; do
    sleep 0.1; n=$((n+1))
    if [ $n -ge $(($2*10)) ]; then say "$1 ($p) ignores SIGTERM, killing"; kill -KILL "$p"; HARD=1; break; fi
  done
  rm -f "$DIR/run/$1.pid"
}
until_ok() {                 # until_ok SECONDS DAEMON COMMAND...
  local end=$((SECONDS+$1)) d=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    pid_of "$d" >/dev/null || { tail -n 20 "$DIR/log/$d.out" "$DIR/log/$d.log" >&2 2>/dev/null; die "$d died while starting"; }
    [ $SECONDS -lt $end ] || { tail -n 20 "$DIR/log/$d.out" "$DIR/log/$d.log" >&2 2>/dev/null; die "$d: not ready in time ($*)"; }
    sleep 0.1
  done
}
http_up() { [ "$(curl -s -o /dev/null -m 5 --noproxy '*' -w '%{http_code}' "http://127.0.0.1:$PORT/")" = 200 ]; }
asok()    { ceph --connect-timeout 5 --admin-daemon "$DIR/run/$1.asok" "${@:2}" 2>/dev/null; }
osd_up()  { asok osd.0 status | grep -q '"state": "active"'; }
mon_up()  { asok mon.a mon_status | grep -q '"state": "leader"'; }
cli()     { timeout 60 ceph -c "$CONF" --connect-timeout 20 "$@"; }
rga()     { timeout 120 radosgw-admin -c "$CONF" -n client.admin "$@"; }

print_env() {
  local tls
  . "$MARK"
  echo "CEPH_ENDPOINT=http://127.0.0.1:$PORT"
  [ -z "$TLS" ] || { echo "CEPH_ENDPOINT_TLS=https://127.0.0.1:$((PORT+1))"; echo "CEPH_CA=$DIR/tls.pem"; }
  echo "CEPH_REGION=${REGION:-default}"
  echo "CEPH_ACCESS_KEY=$A_KEY"
  echo "CEPH_SECRET_KEY=$A_SECRET"
  echo "CEPH_USER_ID=alice"
  echo "CEPH_ACCESS_KEY2=$B_KEY"
  echo "CEPH_SECRET_KEY2=$B_SECRET"
  echo "CEPH_USER_ID2=bob"
  echo "CEPH_CONF_FILE=$CONF"
}

install_pkgs() {
  local need=() p
  for p in ceph-mon:ceph-mon ceph-osd:ceph-osd radosgw:radosgw radosgw-admin:radosgw ceph:ceph-common curl:curl uuidgen:uuid-runtime; do
    command -v "${p%%:*}" >/dev/null || need+=("${p##*:}")
  done
  [ ${#need[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "missing packages: ${need[*]} (run as root once, or install them)"
  say "installing ${need[*]}"
  local log; log=$(mktemp)
  apt-get -y -q -o DPkg::Lock::Timeout=600 install --no-install-recommends "${need[@]}" >"$log" 2>&1 9>&- ||
    { apt-get -q -o DPkg::Lock::Timeout=600 update >>"$log" 2>&1 9>&- &&
      apt-get -y -q -o DPkg::Lock::Timeout=600 install --no-install-recommends "${need[@]}" >>"$log" 2>&1 9>&-; } ||
    { tail -n 20 "$log" >&2; die "apt-get failed, see $log"; }
  rm -f "$log"
}

# ------------------------------------------------------------ first creation
create() {
  local store=${CEPH_UP_STORE:-memstore} size=${CEPH_UP_SIZE:-8589934592} fsid osdid
  case $store in memstore|bluestore) ;; *) die "CEPH_UP_STORE: $store";; esac
  case $size in ''|*[!0-9]*) die "CEPH_UP_SIZE must be bytes";; esac
  mkdir -p "$DIR" && chmod 755 "$DIR"
  { echo "PORT=$PORT"; echo "STORE=$store"; echo "SIZE=$size"; printf 'REGION=%q\n' "${CEPH_UP_REGION:-}"
    printf 'TLS=%q\n' "${CEPH_UP_TLS:-}"; printf 'EXTRA=%q\n' "${CEPH_UP_CONF:-}"; } > "$MARK"
  . "$MARK"
  rm -rf "${DIR:?}"/{mon,osd,rgw,log,run,crash,monmap}; rm -f "$CLEAN"
  mkdir -p "$DIR"/{mon,osd,rgw,log,run,crash}
  fsid=$(uuidgen); osdid=$(uuidgen)

  # tcp_nodelay: without it every answer with a body costs a delayed-ACK 40 ms
  local front="beast endpoint=127.0.0.1:$PORT"
  if [ -n "$TLS" ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
      -addext 'subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1' \
      -keyout "$DIR/tls.key" -out "$DIR/tls.pem" 2>/dev/null || die "openssl failed"
    front="$front ssl_endpoint=127.0.0.1:$((PORT+1)) ssl_certificate=$DIR/tls.pem ssl_private_key=$DIR/tls.key"
  fi

  cat > "$CONF" <<CONF
[global]
fsid = $fsid
mon host = v2:127.0.0.1:$((PORT+2))/0
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
# no keyring anywhere: without this every tool complains about /etc/ceph
keyring = /dev/null
# loopback only
ms bind ipv6 = false
ms bind msgr1 = false
ms bind port min = $((PORT+10))
ms bind port max = $((PORT+39))
public addr = 127.0.0.1
cluster addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
# everything inside DIR
run dir = $DIR/run
admin socket = $DIR/run/\$name.asok
log file = $DIR/log/\$name.log
mon cluster log file = $DIR/log/cluster.log
crash dir = $DIR/crash
mon data = $DIR/mon
osd data = $DIR/osd
rgw data = $DIR/rgw
# one copy, one osd
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
mon warn on pool no redundancy = false
# few threads: this is a test box
ms async op threads = 1
max open files = 0
debug ms = 0

[mon]
mon data avail warn = 2
mon data avail crit = 1
mon clock drift allowed = 1
# pool creation and application tags are one proposal each: do not wait a second for it
paxos propose interval = 0.05
mon memory autotune = false
rocksdb cache size = 8388608

[osd]
osd objectstore = $store
memstore device bytes = $size
bluestore block create = true
bluestore block size = $size
bluestore cache size = 67108864
bluestore cache autotune = false
bluestore fsck on mkfs = false
osd memory target = 939524096
osd op num shards = 1
osd op num threads per shard = 2
osd class update on start = false
osd scrub begin hour = 0
osd scrub end hour = 1
osd fast shutdown = false

[client]
# the admin tools must not fight the daemons over a log or a socket
log file = /dev/null
admin socket =

[client.rgw]
log file = $DIR/log/rgw.log
admin socket = $DIR/run/rgw.asok
# radosgw insists on an encrypted link to the mon, which auth "none" can't give:
# without this it retries for ever ("get_initial_auth_request returned -13")
ms mon client mode = crc
rgw frontends = $front tcp_nodelay=1
rgw thread pool size = 64
rgw dns name = localhost
rgw resolve cname = false
rgw enable usage log = false
rgw enable apis = s3, s3website, swift, swift_auth, admin
rgw crypt require ssl = false
# give the space of deleted and overwritten objects back after seconds, not two hours
rgw gc obj min wait = 15
rgw gc processor period = 15
rgw gc processor max time = 15
rgw verify ssl = false
CONF
  [ -z "$EXTRA" ] || printf '%b\n' "$EXTRA" >> "$CONF"

  FRESH=1
  say "new cluster $fsid in $DIR ($store)"
  # an explicit monmap: left to "mon host", mkfs names the monitor after its address
  # and falls back to the standard ports
  monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$((PORT+2))]" "$DIR/monmap" >>"$DIR/log/mkfs.out" 2>&1 || die "monmaptool failed"
  ceph-mon -c "$CONF" -i a --mkfs --fsid "$fsid" --monmap "$DIR/monmap" >>"$DIR/log/mkfs.out" 2>&1 9>&- || { cat "$DIR/log/mkfs.out" >&2; die "mon mkfs failed"; }
  launch mon.a ceph-mon -c "$CONF" -i a -f
  until_ok 60 mon.a mon_up
  cli osd new "$osdid" >>"$DIR/log/mkfs.out" 2>&1 || { cat "$DIR/log/mkfs.out" >&2; die "osd new failed"; }
  ceph-osd -c "$CONF" -i 0 --mkfs --osd-uuid "$osdid" >>"$DIR/log/mkfs.out" 2>&1 9>&- || { cat "$DIR/log/mkfs.out" >&2; die "osd mkfs failed"; }
  launch osd.0 ceph-osd -c "$CONF" -i 0 -f
  until_ok 60 osd.0 osd_up
  # radosgw would make these one by one, slowly, inside the first requests
  { for p in .rgw.root default.rgw.{log,control,meta,buckets.index,buckets.data,buckets.non-ec}; do
      echo "osd pool create $p 4 4"; done
    for p in .rgw.root default.rgw.{log,control,meta,buckets.index,buckets.data,buckets.non-ec}; do
      echo "osd pool application enable $p rgw"; done; } | cli >>"$DIR/log/mkfs.out" 2>&1 || die "pool creation failed"
  rga user create --uid=alice --display-name=Alice --email=alice@example.com \
    --access-key="$A_KEY" --secret-key="$A_SECRET" >>"$DIR/log/mkfs.out" 2>&1 || { tail "$DIR/log/mkfs.out" >&2; die "user create failed"; }
  rga user create --uid=bob --display-name="Bob Slash" --email=bob@example.com \
    --access-key="$B_KEY" --secret-key="$B_SECRET" >>"$DIR/log/mkfs.out" 2>&1 || die "user create failed"
  if [ -n "$REGION" ]; then
    rga zonegroup get --rgw-zonegroup=default | sed "s|\"api_name\": \"[^\"]*\"|\"api_name\": \"$REGION\"|" > "$DIR/zg.json" &&
      rga zonegroup set --rgw-zonegroup=default --infile "$DIR/zg.json" >>"$DIR/log/mkfs.out" 2>&1 || die "zonegroup set failed"
  fi
  touch "$DIR/.created"; FRESH=
}

start() {
  install_pkgs
  mkdir -p "$DIR" || exit 1
  [ -e "$MARK" ] || [ -z "$(ls -A "$DIR" | grep -vx '\.lock')" ] || die "$DIR is not empty and not ours"
  exec 9>"$DIR/.lock"; flock -w 120 9 || die "another ceph-up.sh holds $DIR"
  if [ -e "$MARK" ]; then
    local want=$PORT; . "$MARK"
    [ "$want" = "$PORT" ] || die "$DIR was made for port $PORT; wipe it, or use another DIR"
    if pid_of mon.a >/dev/null && pid_of osd.0 >/dev/null && pid_of rgw >/dev/null && http_up; then
      say "already running"; print_env; return
    fi
    # Pieces left over, or a machine that went down: a memstore that was not saved
    # no longer matches its mon, so build it afresh.
    if [ ! -e "$DIR/.created" ] || { [ "$STORE" = memstore ] && [ ! -e "$CLEAN" ] && ! pid_of osd.0 >/dev/null; }; then
      say "no clean shutdown: starting afresh"
      stop_all; rm -f "$DIR/.created"
      # rebuilt with the options of its first start
      CEPH_UP_STORE=$STORE CEPH_UP_SIZE=$SIZE CEPH_UP_REGION=$REGION CEPH_UP_TLS=$TLS CEPH_UP_CONF=$EXTRA
    fi
  fi
  local p
  for p in $PORT $((PORT+2)); do
    [ -e "$DIR/.created" ] && break
    if (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then die "port $p is taken"; fi
  done
  if [ ! -e "$DIR/.created" ]; then
    create
  else
    rm -f "$CLEAN"
    pid_of mon.a >/dev/null || { launch mon.a ceph-mon -c "$CONF" -i a -f; until_ok 60 mon.a mon_up; }
    pid_of osd.0 >/dev/null || { launch osd.0 ceph-osd -c "$CONF" -i 0 -f; until_ok 60 osd.0 osd_up; }
  fi
  pid_of rgw >/dev/null || launch rgw radosgw -c "$CONF" -n client.rgw -f
  until_ok 90 rgw http_up
  say "ready in ${SECONDS}s"
  print_env
}

stop_all() {
  local grace=30
  HARD=0
  pid_of osd.0 >/dev/null || grace=2      # radosgw waits for ever on a dead osd
  halt rgw $grace; halt osd.0 60; halt mon.a 30
}

stop() {
  [ -e "$MARK" ] || { say "nothing of ours in $DIR"; return 0; }
  exec 9>"$DIR/.lock"; flock -w 120 9 || die "another ceph-up.sh holds $DIR"
  local was=; pid_of osd.0 >/dev/null && was=1
  stop_all
  [ -z "$was" ] || [ "$HARD" = 1 ] || touch "$CLEAN"
  say stopped
}

# kill_all ends the daemons at once, for data that nobody wants any more.
kill_all() {
  local d p
  for d in rgw osd.0 mon.a; do
    p=$(pid_of $d) && kill -KILL "$p"
  done
}

# run starts a cluster for as long as stdin stays open. A test holds the other end: it
# closes however the test dies, so no signal has to reach this script.
run() {
  [ ! -e "$MARK" ] || die "$DIR is in use: run needs one of its own"
  trap 'kill_all; rm -rf -- "$DIR"' EXIT
  trap '' INT HUP PIPE          # a ctrl-C is for the test; what follows is its end of stdin
  trap 'exit 143' TERM
  start
  cat >/dev/null
}

case $CMD in
  run|start)
    PORT=${3:-}
    case $PORT in ''|*[!0-9]*) usage;; esac
    [ "$PORT" -ge 1024 ] && [ "$PORT" -le 65000 ] || die "PORT must be 1024..65000"
    [ ${#DIR} -le 85 ] || die "DIR is too long for a unix socket path"
    $CMD;;
  stop)   stop;;
  env)    [ -e "$MARK" ] || die "nothing of ours in $DIR"; print_env;;
  admin)  [ -e "$MARK" ] || die "nothing of ours in $DIR"; shift 2; rga "$@";;
  status)
    rc=0
    for d in mon.a osd.0 rgw; do
      if p=$(pid_of $d); then echo "$d pid=$p rss_kib=$(awk '/^VmRSS/{print $2}' /proc/$p/status)"; else echo "$d down"; rc=1; fi
    done; exit $rc;;
  wipe)
    [ -e "$MARK" ] || die "nothing of ours in $DIR"
    stop; rm -rf -- "$DIR";;
  *) usage;;
esac
