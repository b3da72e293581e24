# Trees move between mounts and the local disk: mv copies and removes.

plant() {
  mkdir -p "$1/d/e"
  for i in $(seq 20); do seq "$i" 2000 >"$1/d/f$i"; done
  seq 1 300000 >"$1/d/e/large"
  ln -s f1 "$1/d/link"
  chmod 600 "$1/d/f2"
  touch -d '2002-03-04 05:06:07.123456789' "$1/d/f3" "$1/d/e"
}

describe() { (cd "$1" && find . -printf '%P %y %m %l ' \( -type d -printf '\n' -o -printf '%s %T@\n' \) | sort && find . -type f -exec md5sum {} + | sort); }

work() {
  plant here
  describe here >"$LOCAL/tree"
  mv here "$OTHER/there"
  [ ! -e here ]
  describe "$OTHER/there" | diff - "$LOCAL/tree"
  mv "$OTHER/there" "$LOCAL/disk"
  describe "$LOCAL/disk" | diff - "$LOCAL/tree"
  mv "$LOCAL/disk" back
  [ ! -e "$LOCAL/disk" ] && [ ! -e "$OTHER/there" ]
  check
  # onto what is there
  echo new >"$OTHER/f"
  echo old >f
  mv -f "$OTHER/f" f
  [ "$(cat f)" = new ]
}

check() { describe back | diff - "$LOCAL/tree"; }
