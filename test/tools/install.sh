#!/bin/bash
# install.sh DIR: builds the programs that the tests run against into DIR. What is there
# in the right version stays as it is. All come from the Go module proxy.
set -euo pipefail

dir=$(realpath -m -- "${1:?usage: install.sh DIR}")
go=${GO:-go}

# module, package within it, version. The version decides whether a program is rebuilt.
programs=(
  "github.com/versity/versitygw /cmd/versitygw v1.8.0"
  "github.com/minio/minio - v0.0.0-20260212201848-7aac2a2c5b7c"
  "github.com/rclone/rclone - v1.76.0"
)

# installed PROGRAM MODULE VERSION: the binary says itself what it was built from
installed() {
  [ -x "$dir/$1" ] && "$go" version -m "$dir/$1" | awk -v m="$2" -v v="$3" '$1 == "mod" && $2 == m && $3 == v { ok = 1 } END { exit !ok }'
}

mkdir -p "$dir"
exec 9>"$dir/.lock"
flock 9 # two makes at a time: the second finds all there

for line in "${programs[@]}"; do
  read -r module package version <<<"$line"
  name=${module##*/}
  installed "$name" "$module" "$version" && continue
  echo "building $name $version (some minutes, once)"
  # no cgo: none of them needs a C compiler then
  GOFLAGS='' CGO_ENABLED=0 GOBIN=$dir "$go" install -trimpath -ldflags='-s -w' "$module${package#-}@$version" 9>&-
done
