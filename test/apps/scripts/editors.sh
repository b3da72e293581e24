# Editors replace files: by a rename, in place, and with backups and swap files.

vi() { # vi FILE COMMAND...: vim's own way to edit, without a terminal
  local file=$1
  shift
  command vim.tiny -u NONE -i NONE -N -e -s "${@/#/-c}" -c wq "$file" </dev/null
}

work() {
  seq 1 20000 >f
  cp f g
  cp f h
  chmod 640 f
  vi f 'set backupcopy=no writebackup' '%s/^1$/one/' # a new file and a rename
  vi g 'set backupcopy=yes backup backupext=.old backupskip=' '2,4d' # in place, with a copy beside
  vi h 'set nowritebackup' 'normal Gotail' # written over
  sed -i 's/^2$/two/' f
  sed -i.bak '$d' g
  perl -i -pe 's/^3$/three/' f
  ex new
  [ "$(stat -c %a f)" = 640 ]
  check
}

ex() { vi "$1" 'normal ihello' ; }

check() {
  [ "$(head -n 3 f | tr '\n' ' ')" = 'one two three ' ]
  [ "$(wc -l <f)" = 20000 ]
  [ "$(wc -l <g) $(wc -l <g.bak) $(wc -l <g.old)" = '19996 19997 20000' ]
  [ "$(tail -n 1 h)" = tail ]
  [ "$(cat new)" = hello ]
  [ "$(ls -A | tr '\n' ' ')" = 'f g g.bak g.old h new ' ]
}
