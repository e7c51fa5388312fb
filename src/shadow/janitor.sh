# Removes a directory when nobody needs it any more. Argument: the directory.
# Standard input is a pipe whose other ends only plumb and the watchdog of its server hold: it closes when both are gone, even by
# SIGKILL, and not before, since a server that still runs writes files as fast as they are removed. A line in it means that
# the work is done.
trap '' HUP INT TERM
read -r _ && exit
tries=0
while rm -rf -- "$1"; [ -e "$1" ] && [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.1 || sleep 1
done
