#!/bin/sh
# Builds a Debian package of the committed HEAD, for the release and processor of this system, and has lintian read it.
#
#   tools/deb.sh [FOLDER]   puts it there; without a FOLDER, into build/
#
# Needs debhelper, po-debconf, python3-venv and lintian (apt-get install --no-install-recommends), and the package
# index: pip fetches what requirements.lock and requirements-build.lock pin, and refuses any other bytes. Its times are
# those of the commit; DEBFULLNAME and DEBEMAIL say who answers for it. Prints the package's path; the exit code is 1 where lintian finds an error.
set -eu

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
target=${1:-$root/build}
[ $# -le 1 ] || die 'usage: tools/deb.sh [FOLDER]'
for tool in dpkg-buildpackage dh po2debconf lintian git; do
    command -v "$tool" >/dev/null || die "needs $tool: apt-get install --no-install-recommends debhelper po-debconf python3-venv lintian"
done
mkdir -p -- "$target"
target=$(CDPATH='' cd -- "$target" && pwd -P)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

commit() { git -C "$root" -c safe.directory='*' "$@"; }
# A folder of one name, whoever builds it: paths are in what a compiler writes.
source=$scratch/kiln
mkdir "$source"
commit archive HEAD | tar -x -C "$source"
cp -R "$source/deploy/debian" "$source/debian"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$source/pyproject.toml")
SOURCE_DATE_EPOCH=$(commit log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# An environment is of one Python, and so the package of one release of Debian or Ubuntu.
codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
who="${DEBFULLNAME:-The authors of Kiln} <${DEBEMAIL:-kiln@example.net}>"
sed -i "s/^Maintainer: .*/Maintainer: $who/" "$source/debian/control"
printf 'kiln (%s~%s) %s; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' \
    "$version" "$codename" "$codename" "$who" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")" >"$source/debian/changelog"
# What is built is what is committed and pinned, not what this environment says beside it. Nothing is compiled, so
# nobody needs the compiler that dpkg takes for granted, and that --no-install-recommends does not bring.
build='dpkg-buildpackage --build=binary --no-sign --ignore-builtin-builddeps'
# Words, to be split.
# shellcheck disable=SC2086
(cd "$source" && env -u PYTHONPATH -u PYTHONDONTWRITEBYTECODE $build >"$scratch/log" 2>&1) || {
    tail -n 40 "$scratch/log" >&2
    die 'dpkg-buildpackage failed'
}
package=$(find "$scratch" -maxdepth 1 -name 'kiln_*.deb')
code=0
lintian --fail-on error "$package" || code=1
cp "$package" "$target"
printf '%s\n' "$target/${package##*/}"
exit $code
