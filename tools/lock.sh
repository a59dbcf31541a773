#!/bin/sh
# Makes the six lock files again from pyproject.toml: exact versions, with the hash of every file pip may take.
#
#   tools/lock.sh            keeps every version that still fits
#   tools/lock.sh --upgrade  takes the newest versions (or --upgrade-package NAME; the arguments go to uv)
#
# requirements-dev.lock is made first and binds requirements.lock, so one environment can serve both.
# requirements-asapi.lock stands alone: the Apsara Stack SDK overwrites files of the classic one. It is for tests only.
# requirements-peers.lock has what "./kiln bench --peers" measures beside Kiln. The README names these versions, so they
# are changed here, by hand. Of moto, moto[server] would bring 35 packages more for services that nobody asks here.
# requirements-build.lock has what makes the wheel, for tools/deb.sh.
# requirements-docs.lock has what builds docs/ as a site. Sphinx is the last that Python 3.11 has, so that all get the
# same one: what it warns of fails the build, and another warns of other things.
set -eu
cd -- "$(dirname -- "$0")/.."

uv=$(command -v uv || echo .venv/bin/uv)
"$uv" --version >/dev/null 2>&1 || {
    echo 'tools/lock.sh needs uv: .venv/bin/python -m pip install uv' >&2
    exit 2
}

export UV_CUSTOM_COMPILE_COMMAND=tools/lock.sh
compile() { "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes "$@"; }

compile "$@" --extra postgresql --extra dev -o requirements-dev.lock pyproject.toml
compile "$@" --extra postgresql -c requirements-dev.lock -o requirements.lock pyproject.toml
echo 'aliyun-python-sdk-asapi>=2.4.7' | compile "$@" -o requirements-asapi.lock -
printf '%s\n' 'moto[ec2]==5.2.5' flask flask-cors 'ministack==1.5.33' | compile "$@" -o requirements-peers.lock -
printf '%s\n' furo myst-parser 'sphinx<9.1' | compile "$@" -o requirements-docs.lock -
echo hatchling | compile "$@" -c requirements-dev.lock -o requirements-build.lock -
