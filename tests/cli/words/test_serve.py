from __future__ import annotations

import contextlib
import os
import pty
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app, load
from kiln.service.settings import DEFAULT_TLS
from tests.guests import open_reachable


def serve(folder, listen, *more):
    words = ["serve", "--data", str(folder), "--listen", listen, "--machines", "none", *more]
    return CliRunner(env={"KILN_DATABASE": "", "COLUMNS": "300"}).invoke(app, words)


def test_says_of_an_address_of_nobody_which_there_are(tmp_path):
    result = serve(tmp_path / "data", "192.0.2.1:8787")

    assert result.exit_code == exits.SETTINGS.number
    assert "`ip address` shows those that there are" in " ".join(result.stderr.split())


def test_says_of_a_port_that_is_taken_how_to_find_who_has_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = serve(tmp_path / "data", f"127.0.0.1:{other.getsockname()[1]}")

    assert result.exit_code == exits.SETTINGS.number
    assert "`ss -ltnp` shows which" in " ".join(result.stderr.split())


def test_names_the_address_of_tls_where_that_one_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        result = serve(tmp_path / "data", "127.0.0.1:0", "--tls", taken)

    assert result.exit_code == exits.SETTINGS.number
    assert taken in result.stderr


@pytest.mark.parametrize(
    ("words", "tls"),
    [
        ([], None),
        (["--tls"], DEFAULT_TLS),
        (["--tls", "--listen", "127.0.0.1:1"], DEFAULT_TLS),
        (["--tls", "192.0.2.1:8443", "--listen", "127.0.0.1:1"], "192.0.2.1:8443"),
        (["--tls=192.0.2.1:8443"], "192.0.2.1:8443"),
    ],
)
def test_tls_alone_is_at_the_port_of_https(words, tls):
    assert load("serve").make_context("serve", words).params["tls"] == tls


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("data", "listen", "told"),
    [("data", "127.0.0.1:1", "Ports below 1024 are root's"), ("closed/data", "127.0.0.1:0", "belongs to another user")],
)
def test_says_to_who_is_not_root_what_is_another_user_s(data, listen, told):
    # Root's first run loads what another user may not be able to read: the interpreter may be root's own.
    code = (
        "import os, sys\n"
        "from typer.testing import CliRunner\n"
        "from kiln.cli.main import app\n"
        "run = lambda *words: CliRunner().invoke(app, ['serve', '--machines', 'none', *words])\n"
        "run('--data', sys.argv[1] + '/first', '--listen', '192.0.2.1:8787')\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "done = run('--data', sys.argv[2], '--listen', sys.argv[3])\n"
        "print(done.exit_code, done.stderr, done.exception)\n"
    )

    with open_reachable() as folder:
        os.chown(folder, 65534, 65534)
        (folder / "closed").mkdir(mode=0o700)
        words = [str(folder), str(folder / data), listen]
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, timeout=300
        )

    code, said = " ".join(done.stdout.split()).split(" ", 1)
    assert told in said
    assert int(code) in (exits.SETTINGS.number, exits.FILE.number)


@pytest.mark.slow
def test_begins_its_last_words_where_the_terminal_showed_ctrl_c(tmp_path):
    ours, its = pty.openpty()
    command = [sys.executable, "-P", "-m", "kiln.cli.main", "serve", "--data", str(tmp_path), "--machines", "none"]
    # A session of its own, of which that is the terminal: so Ctrl-C is a signal to it.
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command, "--listen", "127.0.0.1:0"], stdin=its, stdout=its, stderr=its
    ) as served:
        os.close(its)
        said = b""
        with os.fdopen(ours, "r+b", 0) as terminal:
            while b"listening on" not in said:
                said += terminal.read(4096)
            terminal.write(b"\x03")
            with contextlib.suppress(OSError):  # How a terminal says that nobody writes to it any more.
                while part := terminal.read(4096):
                    said += part

        assert served.wait(300) == 0
    assert b"^C\rstopping" in said
