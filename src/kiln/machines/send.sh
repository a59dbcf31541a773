# Puts a file into a guest. Its agent starts this:
#   sh -c THIS kiln HOME NAME TARGET-FOLDER FILE OWNER GROUP MODE OVERWRITE <CONTENT
#
# Whoever asks again, after a Kiln that was killed in between, writes nothing anew and is told what the first one was
# told. The file appears whole or not at all. Ends with 0, or with what is wrong: 20 no such user, 22 no such group,
# 23 a file of that name is there, 24 the folder cannot be one, 25 no such mode, 26 it cannot be written.
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
export PATH
umask 077
memory=$1/$2 folder=$3 name=$4 owner=$5 group=$6 mode=$7 overwrite=$8

rest() { sleep 0.1 2>/dev/null || sleep 1; }

tell() {
    [ -z "$draft" ] || rm -f "$draft"
    echo "$1" >"$memory/begun.new" && mv "$memory/begun.new" "$memory/begun"
    exit "$1"
}

draft=
mkdir -p "$1" && chmod 711 "$1" || exit 10
if ! mkdir "$memory" 2>/dev/null; then
    tries=0
    until [ -e "$memory/begun" ]; do
        [ "$tries" -lt 20 ] || exit 10
        rest
        tries=$((tries + 1))
    done
    exit "$(cat "$memory/begun")"
fi
target=$folder/$name
[ "$owner" = root ] || id -u "$owner" >/dev/null 2>&1 || tell 20
[ "$group" = root ] || grep -q "^$group:" /etc/group 2>/dev/null || tell 22
(umask 022 && mkdir -p "$folder") 2>/dev/null || tell 24
[ ! -d "$target" ] || tell 24
[ "$overwrite" = true ] || [ ! -e "$target" ] || tell 23
draft=$folder/.kiln-$2
cat >"$draft" || tell 26
if [ "$owner" = root ]; then chown 0 "$draft" || tell 26; else chown "$owner" "$draft" || tell 20; fi
if [ "$group" = root ]; then chgrp 0 "$draft" || tell 26; else chgrp "$group" "$draft" || tell 22; fi
chmod "$mode" "$draft" || tell 25
mv -f "$draft" "$target" || tell 26
tell 0
