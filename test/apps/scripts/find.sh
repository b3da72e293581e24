# du counts what is there, and find -delete leaves nothing of a tree.

work() {
  for i in 1 2 3 4 5; do
    mkdir -p "tree/$i/deep/er"
    for j in $(seq $((MANY / 10))); do echo "$i $j" >"tree/$i/f$j"; done
    seq 1 "$i"00 >"tree/$i/deep/er/x"
  done
  cp -r tree "$LOCAL/tree"
  counted
  cp -r tree kept
  find tree -name 'f*1' -delete
  [ -z "$(find tree -name 'f*1')" ]
  find tree -type f -newer kept/1/deep/er/x -o -name x -size -2k -exec rm {} +
  find tree -delete
  [ ! -e tree ]
  mv kept tree
  counted
}

counted() {
  (cd tree && find . -type f -printf '%P %s\n' | sort) | diff - <(cd "$LOCAL/tree" && find . -type f -printf '%P %s\n' | sort)
  [ "$(du --apparent-size --bytes --summarize tree/1/deep/er/x)" = "$(stat -c '%s	%n' tree/1/deep/er/x)" ]
  # without the folders' own sizes, which differ from disk to disk
  [ "$(sum tree)" = "$(sum "$LOCAL/tree")" ]
  [ "$(du --inodes --summarize tree | cut -f1)" = "$(du --inodes --summarize "$LOCAL/tree" | cut -f1)" ]
}

sum() { find "$1" -type f -print0 | du --files0-from=- --apparent-size --bytes --total | tail -n 1; }

check() {
  counted
  find tree -depth -mindepth 1 -delete
  [ -z "$(ls -A tree)" ]
}
