#!/bin/sh
# Runs words of ./kiln on a system that has nothing but git, python3, apt and ca-certificates, with an empty home.
# It is the one honest check of the install steps: what is missing from them cannot hide on this machine.
#
#   tools/debootstrap-check.sh [options] FOLDER [WORDS]...
#
#   FOLDER              where the systems are made; the bare one is kept there for the next time (about 350 MB)
#   WORDS               a command line for ./kiln each, such as "test quick"; without any: "demo" and "test"
#   --suite NAME        Debian's or Ubuntu's name of the release; default: this system's own
#   --mirror URL        where its packages are; default: where this system gets its own from
#   --components LIST   what of the mirror to use, such as main,universe for Ubuntu; default: main
#   --user              call ./kiln as an ordinary user who may use sudo, not as root
#   --commands          WORDS are command lines of their own, for a shell in the checkout, not of ./kiln
#   --bring FILE        put a copy of it into /home/visitor first
#   --keep              leave the used system in FOLDER/used to look around in; else it is removed
#
# Needs root, debootstrap, git and unshare. It promises: everything is mounted, and every process runs, in
# namespaces of its own that end with the script however it ends, so nothing stays mounted or running; only the
# committed HEAD is tried; the exit code is 0 when every word succeeded.
# Of this machine's configuration only what reaches the package registries is carried over: name servers, apt's
# sources, options and keys, pip's index, proxy and certificate settings, the environment's proxies, certificates.
set -eu

say() { printf '== %s\n' "$*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

network='http_proxy https_proxy ftp_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY NO_PROXY
    PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_PROXY PIP_CERT PIP_DEFAULT_TIMEOUT PIP_RETRIES
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE'

# Runs a phase of this script (a function below) in namespaces of its own. The kernel unmounts and kills at the end.
alone() {
    unshare --mount --pid --fork --kill-child --mount-proc env suite="$suite" mirror="$mirror" \
        components="$components" user="$user" commands="$commands" sh "$self" --phase "$@"
}

# Makes the bare system in $1.
make_base() {
    debootstrap --variant=minbase --include=git,python3,apt,ca-certificates --components="$components" \
        "$suite" "$1" ${mirror:+"$mirror"}
    # What debootstrap fetched isn't part of a fresh system.
    rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*
}

# Lets the system in $1 reach the package registries the way this one does.
carry_network_over() {
    cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
    if [ "$suite" = "$(codename)" ]; then
        rm -f "$1/etc/apt/sources.list"
        cp -a /etc/apt/sources.list* "$1/etc/apt/"
        cp -a /etc/apt/keyrings /etc/apt/trusted.gpg* "$1/etc/apt/" 2>/dev/null || true
    fi
    for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
        # Those that run commands are about this system's desktop and caches, not about the network.
        if grep -qs Acquire "$file" && ! grep -qs Invoke "$file"; then cp "$file" "$1/etc/apt/apt.conf.d/"; fi
    done
    for file in "$(printenv PIP_CONFIG_FILE || true)" /etc/xdg/pip/pip.conf /etc/pip.conf \
        "${HOME:-/root}/.pip/pip.conf" "${HOME:-/root}/.config/pip/pip.conf"; do
        if [ -f "$file" ]; then cat "$file"; fi
    done | awk -F ' *= *' '
        /^(index-url|extra-index-url|trusted-host|proxy|cert|timeout|retries) *=/ && !/file:/ { line[$1] = $0 }
        END { print "[global]"; for (key in line) print line[key] }' >"$1/etc/pip.conf"
    cp -a /usr/local/share/ca-certificates "$1/usr/local/share/" 2>/dev/null || true
    chroot "$1" update-ca-certificates >/dev/null 2>&1
    for name in SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE; do
        file=$(printenv "$name" || true)
        if [ -f "$file" ]; then
            mkdir -p "$1${file%/*}"
            cp -L "$file" "$1$file"
        fi
    done
}

# Runs the words, each a command line, in the system in $1; the checkout is in its /home/checkout.
run_words() {
    system=$1
    shift
    # A root folder that is no mount point is like no real system's: unshare and whoever reads /proc/mounts stumble.
    mount --bind "$system" "$system"
    mount -t proc proc "$system/proc"
    mount --rbind /sys "$system/sys"
    mount --rbind /dev "$system/dev"
    mount -t tmpfs tmpfs "$system/run"
    as=''
    if [ "$user" = yes ]; then
        inside apt-get -qq update
        inside apt-get -qq install -y --no-install-recommends sudo >/dev/null
        inside useradd --home-dir /home/visitor --shell /bin/sh visitor
        echo 'visitor ALL=(ALL) NOPASSWD: ALL' >"$system/etc/sudoers.d/visitor"
        chroot "$system" chown -R visitor /home/visitor /home/checkout
        as='runuser -u visitor --'
    fi
    code=0
    summary=''
    for words; do
        [ "$commands" = yes ] || words="./kiln $words"
        say "$words"
        start=$(date +%s)
        # The name is that of a command and its words, or nothing.
        # shellcheck disable=SC2086
        if inside $as sh -c "cd /home/checkout && $words"; then result=ok; else
            result="FAILED ($?)"
            code=1
        fi
        summary="$summary$(printf '%-12s %5s s  %s' "$result" "$(($(date +%s) - start))" "$words")
"
    done
    say "results on $suite${as:+, as an ordinary user}, at $(git -C "$system/home/checkout" -c safe.directory='*' log -1 --format='%h %s')"
    printf '%s' "$summary"
    # shellcheck disable=SC2009  # pgrep cannot leave out itself and us at once.
    left=$(ps -e -o pid=,args= | grep -v -e ' --phase ' -e 'ps -e' -e 'grep -v' || true)
    if [ -n "$left" ]; then
        say 'left running, which nothing should be:'
        printf '%s\n' "$left"
        code=1
    fi
    left=$(find "$system/home/visitor" -mindepth 1 -maxdepth 1 -printf '%f ')
    if [ -n "$left" ]; then say "left in the home: $left"; fi
    return $code
}

# Runs a command in $system with an empty home and nothing of this environment but what the network needs.
inside() {
    set -- chroot "$system" "$@"
    for name in $network; do
        if value=$(printenv "$name"); then set -- "$name=$value" "$@"; fi
    done
    env -i HOME=/home/visitor PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb "$@" </dev/null
}

codename() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

# Where apt gets the packages of $suite from, or nothing.
# shellcheck disable=SC2016  # apt-get expands the format, not the shell.
mirror_of_this_system() {
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 2>/dev/null | sed -n "s/^$suite //p" | head -n 1
}

self=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)/${0##*/}
if [ "${1:-}" = --phase ]; then
    # Called by alone(), which handed the options over in the environment.
    shift
    "$@"
    exit
fi

suite=$(codename) mirror='' components=main user=no keep=no commands=no brought=''
while [ $# -gt 0 ]; do
    case $1 in
        --suite) suite=$2 && shift ;;
        --mirror) mirror=$2 && shift ;;
        --components) components=$2 && shift ;;
        --user) user=yes ;;
        --keep) keep=yes ;;
        --commands) commands=yes ;;
        --bring) brought=$2 && shift ;;
        -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "$self" && exit ;;
        -*) die "no such option: $1 (see --help)" ;;
        *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || die 'which FOLDER? (see --help)'
[ "$(id -u)" -eq 0 ] || die 'must be root: it makes a system with devices and changes its root folder'
for tool in debootstrap git unshare; do
    command -v "$tool" >/dev/null || die "needs $tool"
done
mkdir -p -- "$1"
folder=$(CDPATH='' cd -- "$1" && pwd -P)
shift
[ $# -gt 0 ] || set -- demo test
[ -n "$mirror" ] || mirror=$(mirror_of_this_system)

# Removal stays outside of the namespaces: nothing is mounted here, so nothing but the folder can be removed.
trap '[ "$keep" = yes ] || rm -rf --one-file-system "$folder/used"' EXIT
trap 'exit 130' INT TERM HUP
base=$folder/$suite
if [ ! -e "$base.complete" ]; then
    say "making a bare $suite in $base"
    rm -rf --one-file-system "$base"
    alone make_base "$base" >"$base.log" 2>&1 || { tail -n 20 "$base.log" && die "debootstrap failed: see $base.log"; }
    : >"$base.complete"
fi
checkout=${self%/*/*}
[ -z "$(git -C "$checkout" status --porcelain --untracked-files=no)" ] || say 'changes that are not committed are not tried'
rm -rf --one-file-system "$folder/used"
cp -a --reflink=auto "$base" "$folder/used"
carry_network_over "$folder/used"
mkdir -p "$folder/used/home/visitor"
[ -z "$brought" ] || cp -- "$brought" "$folder/used/home/visitor/"
git clone --quiet --no-local -- "$checkout" "$folder/used/home/checkout"
alone run_words "$folder/used" "$@"
