# Runs a private PostgreSQL server for as long as plumb lives. Arguments: its directory, then its command.
# Standard input is a pipe whose other end only plumb holds: it closes when plumb lets go of the server, and when plumb
# dies, even by SIGKILL. Then the server is stopped at once (its data is worth nothing) and its directory removed.
# Standard output is the janitor's leash: held until the end, so that the janitor comes after the server, and not given to
# the server. Errors go to a file that plumb keeps open.
trap '' HUP INT TERM
directory=$1
shift
exec 3<&0 4>&1 </dev/null >&2
"$@" 3<&- 4>&- &
server=$!
{
    read -r _ <&3
    # A background command starts with SIGQUIT ignored; the server listens to it before it writes its pid file.
    while [ ! -s "$directory/postmaster.pid" ] && kill -0 "$server"; do sleep 0.02 || sleep 1; done
    kill -QUIT "$server"
} >/dev/null 2>&1 &
reader=$!
exec 3<&-
wait "$server"
kill -KILL "$reader" 2>/dev/null
# As another user than plumb it may be able to empty the directory only; the janitor does the rest.
rm -rf -- "$directory" 2>/dev/null
