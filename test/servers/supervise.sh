#!/bin/bash
# supervise.sh DIR COMMAND...: runs COMMAND until it ends or stdin does, then kills it and
# deletes DIR. A test holds the other end of stdin, which closes however the test dies.
dir=$1
shift
trap '' INT HUP
exec 3<&0
cat <&3 >/dev/null &
watcher=$!
"$@" </dev/null 3<&- &
server=$!
trap 'kill -KILL "$server"' TERM
trap '' PIPE # the shell tells of kills on a stderr that may be gone with the test
wait -n
kill -KILL "$server" "$watcher" 2>/dev/null
wait
rm -rf -- "$dir"
