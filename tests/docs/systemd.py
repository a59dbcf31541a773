"""As much of systemd as the operator's pages need, for the units of one machine in a folder.

``python -m tests.docs.systemd FOLDER WORD [--now] UNIT...`` does what ``systemctl WORD`` does.

It heeds of a unit and its drop-ins what says how the service is started: command, environment, folders, and that it
says when it is ready. The main process alone is ended, as by ``KillMode=process``. A unit may be one of a template
(``kiln@api``); the machine is called as the folder is.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_READY_WITHIN_S = 300.0
_ENDS_WITHIN_S = 300.0


def main(folder: Path, word: str, *rest: str) -> None:
    """Do what ``systemctl WORD`` does."""
    for unit in (one for one in rest if not one.startswith("-")):
        if word == "kill":
            _kill(folder, unit)
        if word in ("stop", "restart", "disable"):
            _stop(folder / f"{unit}.pid")
        if word in ("start", "restart") or (word == "enable" and "--now" in rest):
            _start(folder, unit)


def _start(folder: Path, unit: str) -> None:
    told = _read(folder, unit)
    for directory, place in (("StateDirectory", "var/lib"), ("CacheDirectory", "var/cache")):
        for name in told[directory]:
            (folder / place / name).mkdir(mode=int(told.get(f"{directory}Mode", ["755"])[-1], 8), exist_ok=True)
    environment = dict(os.environ)
    for line in told["Environment"]:
        environment |= dict(word.split("=", 1) for word in shlex.split(line))
    for file in told["EnvironmentFile"]:
        path = Path(file.removeprefix("-"))
        if path.exists() or not file.startswith("-"):
            environment |= dict(word.split("=", 1) for word in shlex.split(path.read_text(), comments=True))
    notify = folder / f"{unit}.notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified, (folder / "journal").open("ab") as journal:
        # Nobody listens to it any more when the service stops, which the service has to bear.
        notify.unlink(missing_ok=True)
        notified.bind(str(notify))
        notified.settimeout(_READY_WITHIN_S)
        command = shlex.split(told["ExecStart"][-1])
        environment["NOTIFY_SOCKET"] = str(notify)
        main_process = subprocess.Popen(
            command, env=environment, stdout=journal, stderr=journal, start_new_session=True
        )
        (folder / f"{unit}.pid").write_text(str(main_process.pid))
        assert b"READY=1" in notified.recv(4096)
    main_process.returncode = 0  # It lives on, and is not ours to wait for.


def _kill(folder: Path, unit: str) -> None:
    """Send SIGTERM to the unit's main process, and to the machines that it has begun: all are of one control group."""
    os.kill(int((folder / f"{unit}.pid").read_text()), signal.SIGTERM)
    begun = str(folder / "var/lib" / f"{unit.replace('@', '-')}" / "run").encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # It has ended meanwhile.
            if begun in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGTERM)


def _stop(file: Path) -> None:
    if not file.exists():
        return
    number = int(file.read_text())
    file.unlink()
    try:
        ended = os.pidfd_open(number)
    except ProcessLookupError:
        return
    signal.pidfd_send_signal(ended, signal.SIGTERM)
    assert select.select([ended], [], [], _ENDS_WITHIN_S)[0]


def _read(folder: Path, unit: str) -> dict[str, list[str]]:
    """Every value of each name, in the unit and then in its drop-ins."""
    units = folder / "etc/systemd/system"
    name, at, instance = unit.partition("@")
    told = defaultdict(list)
    for file in (units / f"{name}{at}.service", *sorted((units / f"{unit}.service.d").glob("*.conf"))):
        for key, value in re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE):
            told[key].append(value.replace("%i", instance).replace("%H", folder.name))
    return told


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
