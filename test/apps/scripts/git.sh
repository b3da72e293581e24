# A repository is cloned, worked in, packed and looked at from a second worktree.

git() {
  command git -c user.name=Somebody -c user.email=somebody@example.org -c init.defaultBranch=main \
    -c gc.autoDetach=false -c protocol.file.allow=always "$@"
}

work() {
  git init --quiet "$LOCAL/source"
  for i in 1 2 3; do
    mkdir -p "$LOCAL/source/dir$i"
    for j in 1 2 3 4 5 6 7 8; do seq "$i" $((1000 * j + i)) >"$LOCAL/source/dir$i/file$j"; done
    git -C "$LOCAL/source" add --all
    git -C "$LOCAL/source" commit --quiet --message "commit $i"
  done

  git clone --quiet "$LOCAL/source" clone
  cd clone
  git worktree add --quiet ../tree -b side
  (
    cd ../tree
    git mv dir1 moved
    echo side >side
    git add --all
    git commit --quiet --message side
  )
  git merge --quiet --no-edit side
  git gc --quiet --prune=now
  git status --porcelain >"$LOCAL/status"
  [ ! -s "$LOCAL/status" ]
  git worktree remove ../tree
  git push --quiet origin main:pushed
  sound
  git rev-parse HEAD >"$LOCAL/head"
}

sound() {
  git fsck --full --strict --no-progress >"$LOCAL/fsck" 2>&1
  ! grep -E 'missing|corrupt|broken|error' "$LOCAL/fsck"
}

check() {
  cd clone
  sound
  [ "$(git rev-parse HEAD)" = "$(cat "$LOCAL/head")" ]
  [ "$(git -C "$LOCAL/source" rev-parse pushed)" = "$(cat "$LOCAL/head")" ]
  [ -z "$(git status --porcelain)" ]
  git checkout --quiet HEAD~1
  git checkout --quiet main
  [ -z "$(git status --porcelain)" ]
}
