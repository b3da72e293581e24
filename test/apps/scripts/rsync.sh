# A tree is kept in step with a local one, by renames and in place.

edit() { # edit TREE N
  for i in 1 2 3; do
    mkdir -p "$1/d$i"
    for j in 1 2 3 4 5 6; do seq $((i + $2)) $((3000 * j)) >"$1/d$i/f$j"; done
  done
  head -c 200000$2 /dev/zero | tr '\0' "$2" >"$1/large" # another size: rsync looks at whole seconds
  ln -sfn "d$2" "$1/link"
  rm -f "$1/d1/f$2"
}

same() { [ -z "$(rsync -a --checksum --delete --dry-run --itemize-changes "$LOCAL/tree/" "$1/")" ]; }

# ways are names of copies, and how each is made.
declare -A ways=([renamed]=--no-inplace [in-place]=--inplace [deltas]='--inplace --no-whole-file' [late]=--delay-updates)

work() {
  mkdir "$LOCAL/tree"
  for n in 1 2; do
    edit "$LOCAL/tree" $n
    for way in "${!ways[@]}"; do
      # shellcheck disable=SC2086
      rsync -a --delete ${ways[$way]} "$LOCAL/tree/" "$way/"
      same "$way"
    done
  done
  cp "$LOCAL/tree/large" "$LOCAL/log"
  rsync --append-verify "$LOCAL/log" log
  seq 1 1000 >>"$LOCAL/log"
  rsync --append-verify "$LOCAL/log" log
  rsync -a in-place/ back/
  diff -r --no-dereference in-place back
  check
}

check() {
  cmp log "$LOCAL/log"
  for way in "${!ways[@]}" back; do same "$way"; done
}
