"""The page about PostgreSQL is followed: its commands run one after the other, beside a real server with TLS."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from kiln.store import schema
from tests.docs.pages import ROOT, examples
from tests.postgresql import binary, server_made
from tests.service.pairs import Home
from tests.tools import needs

PAGE = "docs/howto/postgresql.md"
BLOCKS = [example.text for example in examples("sh") if example.page == PAGE]
_FOLDERS = ("/etc/kiln", "/var/lib/kiln", "/var/backups")

_RULES = """local   all  postgres               trust
hostssl kiln kiln     127.0.0.1/32  scram-sha-256
"""

#: A service manager that knows one service, which sees nothing that the shell exports: it has its settings of its file.
_PLAYED = """
kiln() {{ {python} -P -m kiln.cli.main "$@"; }}
sudo() {{ shift 2; "$@"; }}
systemctl() {{
    if [ "$1" = start ]; then
        : >{log}  # Else the words of the start before would be taken for this one's.
        (
            unset "${{!KILN_@}}"
            while IFS= read -r setting; do export "$setting"; done <{settings}
            exec {python} -P -m kiln.cli.main serve >{log} 2>&1
        ) &
        echo $! >{pid}
        until grep -q '^listening on' {log}; do kill -0 "$(cat {pid})"; sleep 0.1; done
    elif [ -f {pid} ]; then
        kill "$(cat {pid})"
        wait "$(cat {pid})"
        rm {pid}
    fi
}}
trap 'systemctl stop' EXIT
"""


@pytest.mark.slow
@pytest.mark.postgresql
def test_each_command_works(tmp_path):
    needs("openssl", "install", "base64")
    for name in ("etc", "var/lib", "var/backups"):
        (tmp_path / name).mkdir(parents=True)
    home = Home(tmp_path / "var/lib/kiln")
    home.start()
    with server_made(listens=True, superuser="postgres") as server:
        authority = server.certify()
        (server.data / "pg_hba.conf").write_text(_RULES)
        server.start()
        (tmp_path / "etc/kiln").mkdir()
        (tmp_path / "etc/kiln/kiln.env").write_text(
            f"KILN_DATA={home.data}\nKILN_MACHINES=none\nKILN_LISTEN=127.0.0.1:0\n"
        )
        shutil.copy(authority, tmp_path / "etc/kiln/database-ca.pem")

        ended = run(tmp_path, server)

    assert ended.returncode == 0, ended.stdout + ended.stderr + (tmp_path / "log").read_text()
    assert f"to postgresql://localhost:{server.port}/kiln, and compared each" in ended.stdout
    assert re.search(r"^ok   server  PostgreSQL .*, as kiln, by TLS$", ended.stdout, re.MULTILINE)
    assert "none contradicts another" in ended.stdout
    assert f"is of version {schema.NEWEST}: nothing is to be done" in ended.stdout
    assert "all is well" in ended.stdout
    password = (tmp_path / "etc/kiln/database-password").read_text().strip()
    assert len(password) == 32
    assert password not in ended.stdout + ended.stderr + (tmp_path / "log").read_text()


def run(folder, server):
    """Run the blocks in one shell, until one fails."""
    text = "\n".join(BLOCKS).replace("db.example", f"localhost:{server.port}")
    for name in _FOLDERS:
        text = re.sub(rf"(?<![\w/.]){name}\b", f"{folder}{name}", text)
    played = _PLAYED.format(
        python=sys.executable, log=folder / "log", pid=folder / "pid", settings=folder / "etc/kiln/kiln.env"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KILN_", "PG"))}
    known = {
        "KILN_MACHINES": "none",
        "PYTHONPATH": str(ROOT / "src"),
        "PATH": f"{binary('psql').parent}:{kept['PATH']}",
        # How the superuser comes in on the server's own host, who says nothing of that.
        "PGHOST": str(server.folder),
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PGDATABASE": "postgres",
    }
    return subprocess.run(
        ["bash", "-c", f"set -eu\n{played}{text}"],
        cwd=folder,
        env=kept | known,
        capture_output=True,
        text=True,
        check=False,
    )
