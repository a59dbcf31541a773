#!/bin/sh
# Installs Kiln's Debian package on the system that it runs on, tries what a user would, removes and purges it.
#
#   tools/try-deb.sh PACKAGE     as root, on a system that is made for it: what it changes is not put back
#
# tools/debootstrap-check.sh makes one:
#
#   tools/debootstrap-check.sh --commands --bring PACKAGE FOLDER 'tools/try-deb.sh ../visitor/*.deb'
set -eu

package=$(realpath -- "$1")
data=/var/lib/kiln
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() { printf -- '-- %s\n' "$*"; }

die() {
    printf 'failed: %s\n' "$*" >&2
    exit 1
}

served=''
trap '[ -z "$served" ] || stop' EXIT
trap 'exit 130' INT TERM HUP

# Serves until stop is called, and says the endpoint and keys to this shell.
serve() {
    kiln serve --machines none --listen 127.0.0.1:0 >/tmp/served 2>&1 &
    served=$!
    # Until it listens, what is known is where the last one did.
    for second in $(seq 300); do
        ! grep -q '^listening on ' /tmp/served || break
        [ "$second" -lt 300 ] || die "it does not serve: $(cat /tmp/served)"
        sleep 1
    done
    eval "$(kiln env)"
}

stop() {
    kill "$served"
    wait "$served" || true
    served=''
}

say 'it installs, and brings what it says'
cd /
apt-get -qq update
apt-get -qq install -y --no-install-recommends "$package" curl >/tmp/apt 2>&1 || { tail -n 30 /tmp/apt >&2 && die apt-get; }
kiln --version
kiln doctor --machines none || die doctor
# Ctrl-C while the interpreter begins: it ends quietly.
mkdir /tmp/interrupting
echo 'import signal; signal.raise_signal(signal.SIGINT)' >/tmp/interrupting/sitecustomize.py
code=0
said=$(PYTHONPATH=/tmp/interrupting env --default-signal=INT kiln --version 2>&1) || code=$?
[ "$code $said" = '130 ' ] || die "interrupted, it ends with $code: $said"
rm -r /tmp/interrupting
for file in /lib/systemd/system/kiln.service /lib/systemd/system/kiln@.service /usr/share/man/man1/kiln.1.gz \
    /usr/share/man/man1/kiln-image.1.gz \
    /usr/share/bash-completion/completions/kiln /usr/share/zsh/vendor-completions/_kiln \
    /usr/share/fish/vendor_completions.d/kiln.fish /usr/share/doc/kiln/kiln.cdx.json.gz; do
    # A minimal system's dpkg may be told to leave documentation out.
    [ -e "$file" ] || grep -qs '^path-exclude' /etc/dpkg/dpkg.cfg.d/* || die "$file is not there"
done
[ "$(getent passwd kiln | cut -d: -f6,7)" = "$data:/usr/sbin/nologin" ] || die 'no user kiln'
[ "$(stat -c '%a %U' $data /etc/kiln /etc/kiln/kiln.env | paste -sd' ')" = '711 root 700 root 600 root' ] || die rights
dpkg --verify kiln | grep -v ' c ' | grep . && die 'other files than those that were packed'

say 'it serves, and makes an image'
apt-get -qq install -y --no-install-recommends syslinux syslinux-common mtools e2fsprogs >/tmp/apt 2>&1 || die apt-get
serve
base=$(kiln image import --sample --name base)
kiln instance run --image "$base" --name web >/dev/null
image=$(kiln image create --instance web --name web-1)
kiln image show "$image" --json | grep '"Available"' || die 'no image'
find /usr/lib/kiln -newer /tmp/served | grep . && die 'it writes below /usr'
stop

say 'an upgrade keeps the settings and the data'
echo 'KILN_LOG=debug' >>/etc/kiln/kiln.env
apt-get -qq install -y --reinstall "$package" >/tmp/apt 2>&1 || { tail -n 30 /tmp/apt >&2 && die 'apt-get --reinstall'; }
grep -q debug /etc/kiln/kiln.env || die 'the settings are lost'
serve
kiln image list -q | grep -qx "$image" || die 'the image is lost'
stop

say 'a purge leaves the data, and takes the rest'
apt-get -qq purge -y kiln >/tmp/apt 2>&1 || { tail -n 30 /tmp/apt >&2 && die 'apt-get purge'; }
grep 'kiln: /var/lib/kiln stays' /tmp/apt || die 'it does not say what stays'
[ -s "$data/kiln.sqlite" ] || die 'the data are lost'
for gone in /etc/kiln /usr/lib/kiln /usr/bin/kiln /var/cache/kiln; do [ ! -e "$gone" ] || die "$gone is left"; done

say 'another installation serves what was left; a purge that is told to delete it leaves what a machine runs on'
apt-get -qq install -y --no-install-recommends "$package" >/tmp/apt 2>&1 || die 'apt-get, again'
serve
kiln image list -q | grep -qx "$image" || die 'the image is lost'
stop
python3 -c 'import time; time.sleep(600)' "$data/run/i-1/pid" &
served=$!
echo 'kiln kiln/delete-data boolean true' | debconf-set-selections
apt-get -qq purge -y kiln >/tmp/apt 2>&1 || { tail -n 30 /tmp/apt >&2 && die 'apt-get purge, again'; }
[ -s "$data/kiln.sqlite" ] || die 'the data of a machine are lost'
stop

say 'without machines it deletes them'
apt-get -qq install -y --no-install-recommends "$package" >/tmp/apt 2>&1 || die 'apt-get, once more'
echo 'kiln kiln/delete-data boolean true' | debconf-set-selections
apt-get -qq purge -y kiln >/tmp/apt 2>&1 || { tail -n 30 /tmp/apt >&2 && die 'apt-get purge, once more'; }
[ ! -e "$data" ] || die "$data is left"
say 'all is well'
