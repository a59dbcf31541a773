"""Tab in the shells themselves, on a terminal of their own, with the script that ``kiln completion`` prints."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.test_main import said
from tests.cli.words.test_completion import NOWHERE
from tests.tools import wants

pytestmark = pytest.mark.slow

_HOW = {
    "bash": ("bash --norc --noprofile -i", 'eval "$(cat script)"; '),
    "zsh": ("zsh -f -i", "fpath=($PWD/functions $fpath); autoload -U compinit; compinit -u -D; "),
}


@pytest.mark.parametrize("typed", ["kiln", "./kiln"])
@pytest.mark.parametrize("shell", list(_HOW))
def test_the_first_tab_completes_a_declared_value(shell, typed, tmp_path):
    """In zsh the file is one of fpath, as the help has it, which is loaded at that very Tab."""
    wants(shell)
    script = said("completion", shell).stdout
    (tmp_path / "script").write_text(script)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "_kiln").write_text(script)
    (tmp_path / "kiln").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m kiln.cli.main "$@"\n')
    (tmp_path / "kiln").chmod(0o755)
    command, begin = _HOW[shell]
    ours, its = pty.openpty()
    home = {"PATH": path_for(typed, tmp_path), "HOME": str(tmp_path), "TERM": "dumb"}
    with subprocess.Popen(
        command.split(),
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=tmp_path,
        env={**os.environ, **NOWHERE, **home},
        start_new_session=True,
    ) as process:
        os.close(its)
        try:
            os.write(ours, f"{begin}printf 'rea%s\\n' dy\r".encode())
            until(ours, b"ready")
            os.write(ours, f"{typed} image create --boot-mode B\t".encode())
            until(ours, b"IOS")
        finally:
            process.kill()
            os.close(ours)


@pytest.mark.parametrize("typed", ["kiln", "./kiln"])
def test_fish_completes_a_declared_value(typed, tmp_path):
    """Fish itself says what a Tab would show."""
    wants("fish")
    (tmp_path / "script").write_text(said("completion", "fish").stdout)
    (tmp_path / "kiln").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m kiln.cli.main "$@"\n')
    (tmp_path / "kiln").chmod(0o755)
    home = {"PATH": path_for(typed, tmp_path), "HOME": str(tmp_path)}

    shown = subprocess.run(
        ["fish", "--no-config", "-c", f'source script; complete -C "{typed} image create --boot-mode B"'],
        cwd=tmp_path,
        env={**os.environ, **NOWHERE, **home},
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stdout.split() == ["BIOS"]


def path_for(typed: str, folder: Path) -> str:
    """The path of a shell in *folder*, which is on it only where the command is *typed* without a folder."""
    kept = [one for one in os.environ["PATH"].split(":") if not Path(one, "kiln").exists()]
    return ":".join(kept if "/" in typed else [str(folder), *kept])


def until(terminal: int, wanted: bytes) -> None:
    """Read what the terminal shows until it is there."""
    shown, deadline = b"", time.monotonic() + 300
    while wanted not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 65536)
