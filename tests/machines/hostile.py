"""Machines that are not well: one process that poses as many, on the sockets of their run folders.

    python -m tests.machines.hostile MANNER RUN-FOLDER/pid ...

What a QEMU that was taken over does with its end of a socket is its own
business; so is what a guest does with the agent's channel. The process has the
pid files among its arguments, by which Kiln finds a machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kiln.machines import sockets

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\n'
MANNERS = (
    "silent", "deaf agent", "never thaws", "deep", "deep agent", "events", "lines", "agent lines", "trickle",
    "agent trickle", "strange", "hangs up",
)  # fmt: skip
READY = "ready"
_ENDLESS = {"events": b'{"event": "STOP"}\n' * 500, "lines": b"\n" * 8000, "agent lines": b"\xff\n" * 4000}

#: Gone once the first connection was taken.
_FIRST = [True]


def _is_first() -> bool:
    return bool(_FIRST) and _FIRST.pop()


_Talk = Callable[[str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _qmp(manner: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if manner == "silent" or (manner == "greets the second" and _is_first()):
        await asyncio.sleep(3600)
    writer.write(GREETING)
    async for line in reader:
        command = json.loads(line)
        if manner == "deep" and command["id"] > 0:
            writer.write(b"[" * 100_000 + b"\n")
        elif manner in ("events", "lines") and command["id"] > 0:
            await _without_end(writer, _ENDLESS[manner])
        elif manner == "trickle" and command["id"] > 0:
            await _trickle(writer)
        elif manner == "hangs up" and command["id"] > 0:
            return
        elif manner == "slow switch" and command["execute"] == "transaction":
            await asyncio.sleep(1.0)
            writer.write(json.dumps({"return": {}, "id": command["id"]}).encode() + b"\n")
        else:
            writer.write(
                json.dumps({"return": _answer(manner, command["execute"]), "id": command["id"]}).encode() + b"\n"
            )


def _answer(manner: str, command: str) -> object:
    if manner == "strange":
        return [None, {"status": 7, "node-name": [], "label": {}}, [[]]]
    answers = {
        "query-chardev": [{"label": "agent", "frontend-open": True}],
        "query-name": {"name": "i-1"},
        "query-status": {"status": manner.removeprefix("state: ") if manner.startswith("state: ") else "running"},
        "query-named-block-nodes": [],
        "x-debug-query-block-graph": {"nodes": [], "edges": []},
        "qom-list": [],
    }
    return answers.get(command, {})


async def _agent(manner: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async for line in reader:
        command = json.loads(line.lstrip(b"\xff"))
        if manner == "deaf agent":
            continue
        if manner == "deep agent":
            writer.write(b"\xff" + b"[" * 50_000 + b"\n")
        elif manner == "agent lines":
            await _without_end(writer, _ENDLESS[manner])
        elif manner == "agent trickle":
            await _trickle(writer)
        elif manner == "never thaws" and command["execute"] == "guest-fsfreeze-thaw":
            await asyncio.sleep(3600)
        elif command["execute"] == "guest-sync-delimited":
            writer.write(b"\xff" + json.dumps({"return": command["arguments"]["id"]}).encode() + b"\n")
        else:
            writer.write(b'{"return": 1}\n')


async def _without_end(writer: asyncio.StreamWriter, said: bytes) -> None:
    while True:
        writer.write(said)
        await writer.drain()


async def _trickle(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.001)


async def _serve(manners: Sequence[str], pid_files: Sequence[Path]) -> None:
    servers, written = [], []
    for number, pid_file in enumerate(pid_files):
        manner = manners[number % len(manners)]
        for name, talk in (("qmp", _qmp), ("agent", _agent)):
            listener = sockets.listen(pid_file.with_name(name))

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, manner: str = manner, talk: _Talk = talk
            ) -> None:
                with contextlib.suppress(OSError):
                    await talk(manner, reader, writer)
                writer.close()

            servers.append(await asyncio.start_unix_server(serve, sock=listener))
        written.append(pid_file.open("w"))  # And kept open, as QEMU does.
        written[-1].write(str(os.getpid()))
        written[-1].flush()
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()
    await asyncio.sleep(3600)


@contextmanager
def posing(run: Path, instances: Sequence[str], *manners: str) -> Iterator[subprocess.Popen[str]]:
    """Have a machine for each instance, with these manners in turns; all are one process."""
    for instance in instances:
        (run / instance).mkdir(parents=True, exist_ok=True)
    files = [str((run / instance).absolute() / "pid") for instance in instances]
    command = [sys.executable, "-m", "tests.machines.hostile", ",".join(manners), *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == READY
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_serve(sys.argv[1].split(","), [Path(argument) for argument in sys.argv[2:]]))
