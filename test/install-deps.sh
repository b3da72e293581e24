#!/bin/bash
# install-deps.sh [PACKAGE...]: installs the Debian packages that are missing of those that
# the tests need, or of the ones that are named, and says what to do where it can't.
set -euo pipefail

# program:package
all=(
  fusermount3:fuse3 rsync:rsync sqlite3:sqlite3 git:git curl:curl uuidgen:uuid-runtime xz:xz-utils openssl:openssl
  python3:python3 npm:npm nginx:nginx-light vim.tiny:vim-tiny perl:perl postgres:postgresql g++:g++
  ceph-mon:ceph-mon ceph-osd:ceph-osd radosgw:radosgw radosgw-admin:radosgw ceph:ceph-common
)
wanted=" $* "
postgres=$(printf '%s:' /usr/lib/postgresql/*/bin) # not in PATH on Debian

need=()
for pair in "${all[@]}"; do
  package=${pair#*:}
  [ $# -eq 0 ] || [[ $wanted == *" $package "* ]] || continue
  PATH=$PATH:/usr/sbin:/sbin:$postgres command -v "${pair%%:*}" >/dev/null || need+=("$package")
done

if [ ${#need[@]} -gt 0 ]; then
  mapfile -t need < <(printf '%s\n' "${need[@]}" | sort -u)
  if ! command -v apt-get >/dev/null; then
    echo "missing: ${need[*]} (names of Debian's packages; there is no apt-get here, so install them by hand)" >&2
    exit 1
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "missing: ${need[*]}. Run:  sudo apt-get install --no-install-recommends ${need[*]}" >&2
    exit 1
  fi
  echo "installing ${need[*]}"
  log=$(mktemp)
  # Debian starts each server that it installs, unless this says no.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  install() { DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=600 "$@" >>"$log" 2>&1; }
  # package lists may be old or not there at all
  install install --no-install-recommends "${need[@]}" ||
    { install update && install install --no-install-recommends "${need[@]}"; } ||
    { tail -n 20 "$log" >&2; echo "apt-get failed; all it said is in $log" >&2; exit 1; }
  rm -f "$log"
fi

if [ ! -c /dev/fuse ] && [ "$(id -u)" = 0 ]; then
  modprobe fuse 2>/dev/null || true
fi
if [ ! -c /dev/fuse ]; then
  echo "there is no /dev/fuse, so nothing can be mounted: run \"modprobe fuse\" as root, or give the container --device /dev/fuse --cap-add SYS_ADMIN" >&2
  exit 1
fi
if [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
  echo "/dev/fuse may not be opened by $(id -un): \"chmod 666 /dev/fuse\" as root is what most systems have" >&2
  exit 1
fi
