#!/bin/bash
# supervise.sh DIR COMMAND...: runs COMMAND until it ends or stdin does, then kills it and
# deletes DIR. A test holds the other end of stdin, which closes however the test dies.
dir=$1
shift
trap '' INT HUP
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
trap 'kill -KILL "$server"' TERM
trap '' PIPE # the shell tells of kills on a stderr that may be gone with the test
(
	while read -r -u 3; do :; done
	kill -KILL "$server"
) >/dev/null 2>&1 &
watcher=$!
# The server is waited for by its number: "wait -n" does not return for what has ended
# before it. TERM interrupts the first wait.
wait "$server"
wait "$server"
kill -KILL "$watcher" 2>/dev/null
wait
rm -rf -- "$dir"
