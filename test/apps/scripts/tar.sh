# Archives are made, extended, compared and unpacked.

work() {
  mkdir -p a/b/c
  seq 1 40000 >a/numbers
  for i in $(seq 40); do seq "$i" 300 >"a/b/f$i"; done
  ln -s ../numbers a/b/link
  : >a/b/c/empty
  chmod 751 a/b
  chmod 640 a/b/f1
  touch -d '2001-02-03 04:05:06.789012345' a/b/f2 a/b/c
  tar --format=posix -cf a.tar a
  tar --format=posix -df a.tar
  echo more >a/more
  tar --format=posix -rf a.tar a/more
  tar --format=posix --delete -f a.tar a/b/f3
  mkdir out
  tar -xpf a.tar -C out
  tar -czf a.tgz a
  mkdir zout
  tar -xpzf a.tgz -C zout
  diff -r --no-dereference a zout/a
  cp a.tar a.tgz "$LOCAL"
}

check() {
  cmp a.tar "$LOCAL/a.tar"
  cmp a.tgz "$LOCAL/a.tgz"
  tar --format=posix -dpf a.tar -C out
  [ ! -e out/a/b/f3 ]
  [ "$(stat -c '%a %y' out/a/b/c)" = "755 $(stat -c %y a/b/c)" ]
  diff -r --no-dereference a zout/a
}
