# A module is built and tested, with the build cache in the mount. What of it is the standard
# library's is compiled once for all mounts, and copied in.

run() {
  env HOME="$LOCAL" GOFLAGS='-trimpath -buildvcs=false' GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=0 GOCACHE="${CACHE:-$PWD/cache}" \
    go -C module "$@"
}

work() {
  cp -r --no-preserve=mode "$MODULE" module
  printf 'package internal\n\nimport _ "testing"\n' >module/internal/seed_test.go
  CACHE=$SHARED/go-cache run test -run '^$' ./internal
  rm module/internal/seed_test.go
  cp -a "$SHARED/go-cache" cache
  run build ./...
  run test -count=1 ./simplelru ./internal
  touch module/simplelru/lru.go
  run test -count=1 ./simplelru
}

check() {
  run build -x ./... 2>"$LOCAL/log"
  ! grep /compile "$LOCAL/log" # the cache is trusted
  run test -count=1 ./simplelru
}
