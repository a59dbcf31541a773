"""Kiln's program, begun by a process that has loaded it already: to load it takes most of a start, some hundred times.

    from tests.warm import kiln, start_kiln

    with start_kiln(tmp_path / "data") as served: ...       # as kiln.testing has it
    assert kiln("fsck", "--data", data).returncode == 0     # as subprocess.run has it

What is begun is a process like any other, with the environment, the folder and the files that it is given: a child of
the process that has loaded the program, and all that it does from its first line on is done anew. Tests that are about
starting itself, such as what is loaded and how fast, start the program as everybody does.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from kiln.testing.served import Served, serving

ROOT = Path(__file__).parents[1]
_MOST_TOLD = 2**18


class Begun:
    """A process of the program: the part of ``subprocess.Popen`` that tests need."""

    def __init__(self, words: tuple[str, ...], pid: int, process: int, ended: int) -> None:
        self.args = ["kiln", *words]
        self.pid = pid
        self.returncode: int | None = None
        self._process, self._ended = process, ended

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutExpired."""
        if self._look(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            # The number of a process that has ended meanwhile may be another's by now.
            signal.pidfd_send_signal(self._process, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, within_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], within_s)[0]:
            told = os.read(self._ended, 16)
            assert told, "the process that has loaded the program has ended"
            self.returncode = int(told)
            os.close(self._ended)
            os.close(self._process)
        return self.returncode


def begin(
    *words: str | Path, stdout: int, stderr: int, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Begun:
    """Begin ``kiln WORDS``, which writes to files of these numbers and has nothing to read."""
    given = tuple(map(str, words))
    told = {"words": given, "env": dict(os.environ if env is None else env), "cwd": str(cwd or Path.cwd())}
    ended, its_end = os.pipe()
    line = _loaded()
    socket.send_fds(line, [json.dumps(told).encode()], [stdout, stderr, its_end])
    os.close(its_end)
    answer, held, _, _ = socket.recv_fds(line, 64, 1)
    return Begun(given, int(answer), held[0], ended)


def kiln(
    *words: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 300.0
) -> subprocess.CompletedProcess[str]:
    """Have ``kiln WORDS`` be done; what it said is in ``stdout`` and ``stderr``. Raises TimeoutExpired."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = begin(*words, stdout=out.fileno(), stderr=err.fileno(), env=env, cwd=cwd)
        try:
            begun.wait(timeout)
        finally:
            begun.kill()
        out.seek(0), err.seek(0)
        return subprocess.CompletedProcess(begun.args, begun.wait(), out.read().decode(), err.read().decode())


class _Warm(Served):
    """A served Kiln that is begun here."""

    def begin(self, environment: dict[str, str], log: BinaryIO) -> Begun:
        return begin("serve", stdout=log.fileno(), stderr=log.fileno(), env=environment)


@contextmanager
def start_kiln(data: Path, machines: str = "none", **settings: Any) -> Iterator[Served]:
    """As ``kiln.testing.start_kiln``. Raises DidNotStart, DidNotStop."""
    with serving(_Warm.of(data, machines, settings)) as kiln:
        yield kiln


@cache
def _loaded() -> socket.socket:
    """The line to a process that has loaded the program, and ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    command = [sys.executable, "-P", "-c", "from tests.warm import serve_line; serve_line()", str(its.fileno())]
    path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    loaded = subprocess.Popen(
        command, env=environment | {"PYTHONPATH": path}, cwd="/", stdin=subprocess.DEVNULL, pass_fds=[its.fileno()]
    )
    its.close()

    def end() -> None:
        ours.close()
        loaded.wait()

    atexit.register(end)
    return ours


def serve_line() -> None:
    """Load the program, and begin it in a child for each that is asked for. In that child this never returns."""
    line = socket.socket(fileno=int(sys.argv[1]))
    main = _load()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Who asks ends what it has begun.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    ends: dict[int, int] = {}
    while True:
        ready = select.select([line, awake], [], [])[0]
        if awake in ready:
            os.read(awake, 512)
            _tell_ends(ends)
        if line not in ready:
            continue
        told, files, _, _ = socket.recv_fds(line, _MOST_TOLD, 3)
        if not told:
            os._exit(0)
        child = os.fork()
        if not child:
            _become(json.loads(told), files)
            main()
        ends[child] = files.pop()
        held = os.pidfd_open(child)
        socket.send_fds(line, [str(child).encode()], [held])
        for file in (held, *files):
            os.close(file)


def _load() -> Callable[[], None]:
    """Load what ``kiln serve`` loads, and what it does later at a first start or an upgrade."""
    program = importlib.import_module("kiln.cli.main")
    for word in ("serve", "fsck", "env"):
        program.load(word)
    later = ("uvloop", "uvicorn.loops.uvloop", "uvicorn.lifespan.off", "alembic.command", "kiln.service.signing")
    for module in (*later, "kiln.cli.refusals"):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # A child that collects garbage would touch, and so copy, all that it inherited.
    main: Callable[[], None] = program.main
    return main


def _become(told: dict[str, Any], files: list[int]) -> None:
    """Be a process that has just been started so, in a child."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files[:2], 1):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["env"])
    time.tzset()
    random.seed()
    sys.path.remove(str(ROOT))
    sys.argv[:] = ["kiln", *told["words"]]


def _tell_ends(ends: dict[int, int]) -> None:
    """Tell those who wait for them of the children that have ended."""
    while ends:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        file = ends.pop(child)
        with contextlib.suppress(BrokenPipeError):  # Nobody waits any more.
            os.write(file, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(file)
