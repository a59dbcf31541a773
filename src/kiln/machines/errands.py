"""Commands, files and passwords within the guest of a running QEMU, by its agent: no network there is needed.

A command runs under a shell script of ours (``run.sh``), which keeps in the
guest what it prints and how it ended, so that it goes on and can be asked for
while Kiln is away. Each call is one or some short conversations: QEMU serves
one at a time, and whoever freezes the guest needs it too.

https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from kiln.ground import base64_text
from kiln.ground.killpoints import reach
from kiln.ground.short_files import read_short_text
from kiln.machines.agent import Conversation, conversing
from kiln.machines.errors import AgentForbidden, AgentRefused, AgentSilent, MachineError
from kiln.machines.guest import has_agent
from kiln.machines.hearing import flag, mapping, mappings, number, text, words
from kiln.machines.port import MOST_OUTPUT_BYTES, Agent, Begun, Progress, Run, SentFile
from kiln.machines.qmp import open_session
from kiln.machines.runfolder import RunFolder

#: Where a guest keeps what runs. It has to be empty after each boot of it, and only root's.
HOME = "/run/kiln-assistant"
CONVERSATION_S = 3.0
PASSWORD_S = 10.0  #: The agent answers when it was set, and the hash of one is made to take long.
BEGIN_S = 20.0  #: A small machine without hardware acceleration starts some processes in that time.
_QMP_S = 1.0
_MOST_STATUS = 100
_RUN = Path(__file__).with_name("run.sh")
_SEND = Path(__file__).with_name("send.sh")
_STOP = 'cd "$1" && touch stopped && kill -KILL "-$(cat command)"'
_FORGET = 'rm -rf "$1"'
_SHELL = "/bin/sh"
_BOOT = "/proc/sys/kernel/random/boot_id"
_NEEDED = frozenset({"guest-exec", "guest-exec-status", "guest-file-open", "guest-file-read", "guest-file-close"})
_FIRST_REST_S, _LONGEST_REST_S = 0.02, 0.25


class QemuInside:
    """Implements ``port.Inside``."""

    def __init__(self, folder: RunFolder, home: str = HOME) -> None:
        self._folder = folder
        self._home = home

    def is_there(self) -> bool:
        """See ``port.Inside``. A QEMU that does not answer is taken to have nothing there."""
        with suppress(MachineError), open_session(self._folder.qmp, _QMP_S) as qmp:
            return has_agent(qmp.execute("query-chardev"))
        return False

    def about(self) -> Agent:
        """See ``port.Inside``."""
        with self._conversing() as agent:
            said = agent.call("guest-info")
            commands = mappings(said, "supported_commands")
            enabled = {text(one, "name") for one in commands if flag(one, "enabled")}
            return Agent(version=words(text(said, "version"))[:64], runs_commands=enabled >= _NEEDED)

    def boot(self) -> str:
        """See ``port.Inside``."""
        with self._conversing() as agent:
            found = _read(agent, _BOOT, _MOST_STATUS)
        if not found:
            raise AgentRefused("The guest does not tell its boots apart.")
        return words(found.decode(errors="replace"))

    def begin(self, run: Run) -> Begun:
        """See ``port.Inside``."""
        given = (str(run.timeout_s), run.user, run.directory, str(MOST_OUTPUT_BYTES))
        return self._begin(_RUN, run.name, given, run.script)

    def send(self, file: SentFile) -> Begun:
        """See ``port.Inside``."""
        overwrites = "true" if file.overwrites else "false"
        given = (file.folder, file.file, file.owner, file.group, file.mode, overwrites)
        return self._begin(_SEND, file.name, given, file.content)

    def look(self, name: str) -> Progress:
        """See ``port.Inside``."""
        folder = f"{self._home}/{name}"
        with self._conversing() as agent:
            status = _read(agent, f"{folder}/status", _MOST_STATUS)
            if status is None:
                why = "" if _is_watched(agent, folder) else "lost"
                # It may have ended between the two looks.
                status = _read(agent, f"{folder}/status", _MOST_STATUS) if why else None
            output = _read(agent, f"{folder}/output", MOST_OUTPUT_BYTES) or b""
            if status is None:
                total = _number(_read(agent, f"{folder}/total", _MOST_STATUS) or b"")
                return Progress(output=output, printed=max(total, len(output)), why=why)
        return _ended(status, output)

    def stop(self, name: str) -> None:
        """See ``port.Inside``."""
        reach("machines.before_run_stop")
        with self._conversing() as agent:
            _exec(agent, _STOP, [f"{self._home}/{name}"])
        reach("machines.run_stopped")

    def set_password(self, user: str, password: str) -> None:
        """See ``port.Inside``. What the agent says when it refuses is told without the password."""
        encoded = base64.b64encode(password.encode()).decode()
        reach("machines.before_password")
        try:
            with conversing(self._folder.agent, PASSWORD_S) as agent:
                agent.call("guest-set-user-password", username=user, password=encoded, crypted=False)
        except AgentRefused as error:
            raise type(error)(str(error).replace(password, "***").replace(encoded, "***")) from None
        reach("machines.password_given")

    def forget(self, name: str) -> None:
        """See ``port.Inside``."""
        reach("machines.before_run_forget")
        with self._conversing() as agent:
            _exec(agent, _FORGET, [f"{self._home}/{name}"])
        reach("machines.run_forgotten")

    def _conversing(self) -> AbstractContextManager[Conversation]:
        return conversing(self._folder.agent, CONVERSATION_S)

    def _begin(self, script: Path, name: str, given: Sequence[str], content: bytes) -> Begun:
        """Start one of our scripts for *name*, and wait for what it says; what it begins goes on beside."""
        reach("machines.before_run")
        with self._conversing() as agent:
            pid = _exec(agent, read_short_text(script), [self._home, name, *given], content)
        reach("machines.run_begun")
        deadline, rest = time.monotonic() + BEGIN_S, _FIRST_REST_S
        while True:
            with self._conversing() as agent:
                said = mapping(agent.call("guest-exec-status", pid=pid))
                has_ended = flag(said, "exited")
                code = number(said, "exitcode") if "exitcode" in said else -1
            if has_ended:
                return Begun(code) if code in set(Begun) else Begun.NO_ROOM
            if time.monotonic() > deadline:
                raise AgentSilent("What was to begin in the guest did not begin in time.")
            time.sleep(rest)
            rest = min(2 * rest, _LONGEST_REST_S)


def _exec(agent: Conversation, script: str, given: Sequence[str], content: bytes = b"") -> int:
    """Have the guest's shell begin a script; returns the number of its process."""
    arguments = ["-c", script, "kiln", *given]
    handed = {"input-data": base64.b64encode(content).decode()} if content else {}
    started = agent.call("guest-exec", path=_SHELL, arg=arguments, **{"capture-output": False}, **handed)
    return number(started, "pid")


def _read(agent: Conversation, path: str, most: int) -> bytes | None:
    """The first *most* bytes of a file in the guest; None when it cannot be read."""
    try:
        handle = number(agent.call("guest-file-open", path=path, mode="r"))
        try:
            said = agent.call("guest-file-read", handle=handle, count=most)
        finally:
            with suppress(AgentRefused):
                agent.call("guest-file-close", handle=handle)
    except AgentForbidden:
        raise
    except AgentRefused:
        # It is not there, or it is of a process that has ended between the two.
        return None
    try:
        return base64_text.read(text(said, "buf-b64"))[:most]
    except base64_text.NotBase64 as error:
        raise AgentSilent("The guest agent does not answer with what it was asked for.") from error


def _is_watched(agent: Conversation, folder: str) -> bool:
    """Whether our script in the guest, which is to say how the command ended, is there still."""
    watcher = _number(_read(agent, f"{folder}/watcher", _MOST_STATUS) or b"")
    if watcher:
        return _read(agent, f"/proc/{watcher}/stat", 1) is not None
    # It has not come so far yet; or the guest has booted since.
    return _read(agent, f"{folder}/script", 1) is not None


def _ended(status: bytes, output: bytes) -> Progress:
    """What our script said of how the command ended. It is the guest's word, and may be anything."""
    code, _, rest = status.decode(errors="replace").strip().partition(" ")
    total, _, why = rest.partition(" ")
    why = why if why in ("timeout", "stopped") else "ended"
    exit_code = _number(code.encode()) & 0xFF if why == "ended" else None
    return Progress(output=output, printed=max(_number(total.encode()), len(output)), why=why, exit_code=exit_code)


def _number(said: bytes) -> int:
    """A number that the guest wrote down; 0 for what is none."""
    digits = said.strip()
    return int(digits) if digits.isdigit() and len(digits) < 16 else 0  # noqa: PLR2004 - far within 64 bits.
