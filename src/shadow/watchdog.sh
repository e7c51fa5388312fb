# Runs a private PostgreSQL server for as long as plumb lives. Arguments: its directory, then its command.
# Standard input is a pipe whose other end only plumb holds: it closes when plumb lets go of the server, and when plumb
# dies, even by SIGKILL. Then the server is stopped at once (its data is worth nothing) and its directory removed.
# Output goes to a file that plumb keeps open.
trap '' HUP INT TERM
directory=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
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
rm -rf -- "$directory"
