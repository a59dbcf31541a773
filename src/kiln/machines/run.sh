# Runs a command in a guest. Its agent starts this: sh -c THIS kiln HOME NAME TIMEOUT USER DIRECTORY MOST <COMMAND
#
# HOME/NAME holds the command's script, what it prints and how it ended; it lies where nothing outlives the guest's
# boot. Whoever asks again, after a Kiln that was killed in between, starts nothing anew and is told what the first one
# was told. Ends when the command runs: 0, or with what is wrong: 20 no such user, 21 no such directory, else no room.
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
export PATH
umask 077
folder=$1/$2 timeout=$3 user=$4 directory=$5 most=$6

rest() { sleep 0.1 2>/dev/null || sleep 1; }

tell() {
    echo "$1" >"$folder/begun.new" && mv "$folder/begun.new" "$folder/begun"
    exit "$1"
}

# Keeps the beginning and the end of what comes, $most bytes, in the file output, and how much it was, in total. What is left running
# may print on when the command has ended: it is read, so that it is not ended by that.
collect() {
    total=0
    while dd bs=65536 count=1 of=piece 2>/dev/null && [ -s piece ]; do
        total=$((total + $(wc -c <piece)))
        cat piece >>output
        if [ "$(wc -c <output)" -gt "$most" ]; then
            { head -c "$((most / 2))" output && tail -c "$((most / 2))" output; } >kept && mv kept output
        fi
        echo "$total" >total.new && mv total.new total
    done
    touch drained
    cat >/dev/null
}

# In a session of its own, all of which can be ended at once.
launch() {
    first=
    IFS= read -r first <script
    program=/bin/sh
    case $first in '#!'*) program=${first#??} ;; esac
    umask 022
    # shellcheck disable=SC2016 -- the shell that is started expands it.
    begin='set -f; cd "${1:-$HOME}" 2>/dev/null || cd "${1:-/}" || exit; exec $2 "$3"'
    case $user in
    '' | root)
        HOME=/root USER=root LOGNAME=root
        export HOME USER LOGNAME
        exec setsid /bin/sh -c "$begin" kiln "$directory" "$program" "$folder/script"
        ;;
    *) exec setsid su -s /bin/sh -c "$begin" "$user" kiln "$directory" "$program" "$folder/script" ;;
    esac
}

watch() {
    # The subshell's own number, which no variable of every shell tells.
    # shellcheck disable=SC2016 -- the shell that is started expands it.
    /bin/sh -c 'echo "$PPID"' >watcher
    : >output
    echo 0 >total
    mkfifo pipe
    collect <pipe >/dev/null 2>&1 &
    launch </dev/null >pipe 2>&1 &
    command=$!
    echo "$command" >command
    [ -e stopped ] && kill -KILL "-$command"
    (
        trap 'kill "$nap"; exit' TERM
        sleep "$timeout" &
        nap=$!
        wait "$nap"
        touch timeout
        kill -KILL "-$command" || kill -KILL "$command"
    ) >/dev/null 2>&1 &
    timer=$!
    wait "$command"
    code=$?
    kill "$timer"
    # All that it has printed is still to be read, which takes a slow guest its time: it is over when nothing can print
    # any more, or when nothing has come for some seconds, as where it has left something running.
    tries=0 seen=
    until [ -e drained ] || [ "$tries" -ge 30 ]; do
        rest
        tries=$((tries + 1))
        read -r so_far <total
        [ "$so_far" = "$seen" ] || seen=$so_far tries=0
    done
    why=ended
    [ -e stopped ] && why=stopped
    [ -e timeout ] && why=timeout
    echo "$code $(cat total) $why" >status.new && mv status.new status
}

mkdir -p "$1" && chmod 711 "$1" || exit 10
if ! mkdir "$folder" 2>/dev/null; then
    tries=0
    until [ -e "$folder/begun" ]; do
        [ "$tries" -lt 20 ] || exit 10
        rest
        tries=$((tries + 1))
    done
    exit "$(cat "$folder/begun")"
fi
chmod 711 "$folder"
cat >"$folder/script" || tell 10
case $user in
'' | root) ;;
*)
    id -u "$user" >/dev/null 2>&1 || tell 20
    chown "$user" "$folder/script" || tell 10
    ;;
esac
chmod 500 "$folder/script"
[ -z "$directory" ] || [ -d "$directory" ] || tell 21
cd "$folder" || tell 10
watch >/dev/null 2>&1 </dev/null &
tell 0
