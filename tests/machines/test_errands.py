"""Commands and files within a guest, by a real agent that runs on this host."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kiln.machines.agent import conversing
from kiln.machines.errands import QemuInside
from kiln.machines.errors import AgentRefused, AgentSilent
from kiln.machines.port import Begun, Run, SentFile
from kiln.machines.runfolder import RunFolder
from tests.machines.agents import inside, open_agent, open_place, passwords_in
from tests.pools.kills import killed_at
from tests.tools import needs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("patient")]
_LIMIT_S = 300.0


@pytest.fixture
def place():
    with open_place() as folder:
        yield folder


@pytest.fixture
def guest(place):
    """The inside of what stands for a guest, where ``agent`` is the process of its agent and ``folder`` its own."""
    needs("setsid")
    with open_agent(place) as agent:
        made = inside(place)
        made.agent, made.folder = agent, place
        yield made


def run(script: str, name: str = "t-1", **more: object) -> Run:
    return Run(**{"name": name, "script": script.encode(), "timeout_s": 600, **more})


def looked(guest, name, fits):
    """What a command has come to once it *fits*. An agent on a busy host that is silent is asked again, as by Kiln."""
    deadline = time.monotonic() + _LIMIT_S
    while True:
        with suppress(AgentSilent):
            progress = guest.look(name)
            if fits(progress):
                return progress
            assert time.monotonic() < deadline, f"it runs on: {progress}"
        assert time.monotonic() < deadline, "the agent is silent"
        time.sleep(0.02)


def ended(guest, name="t-1"):
    """How a command ended; waits for that."""
    return looked(guest, name, lambda progress: progress.why)


def printed(guest, name, what):
    """Wait until a command has printed that."""
    looked(guest, name, lambda progress: progress.output == what)


def test_runs_a_command_and_tells_how_it_ended(guest):
    begun = guest.begin(run("echo out; echo err >&2; exit 7"))

    progress = ended(guest)
    assert begun is Begun.WELL
    assert (progress.output, progress.printed) == (b"out\nerr\n", 8)
    assert (progress.why, progress.exit_code) == ("ended", 7)


def test_has_the_program_that_the_first_line_names_run_it(guest):
    guest.begin(run("#!/usr/bin/env python3\nimport sys\nprint(sys.argv[0].rpartition('/')[2], 6 * 7)"))

    assert ended(guest).output == b"script 42\n"


def test_begins_in_the_directory_that_is_asked_for(guest):
    (guest.folder / "a place").mkdir()

    guest.begin(run("pwd", directory=f"{guest.folder}/a place"))

    assert ended(guest).output == f"{guest.folder}/a place\n".encode()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"user": "nobody-has-this-name"}, Begun.NO_USER),
        ({"directory": "/no/such/directory"}, Begun.NO_DIRECTORY),
    ],
)
def test_says_what_of_the_guest_is_not_there(guest, asked, told):
    assert guest.begin(run("echo ran >ran", **asked)) is told
    assert guest.begin(run("echo ran >ran", **asked)) is told


def test_runs_as_another_user(guest):
    if os.geteuid() != 0:
        pytest.skip("only root becomes another user")

    guest.begin(run("id -un; echo $HOME", user="daemon"))

    assert ended(guest).output.splitlines()[0] == b"daemon"


def test_starts_nothing_twice(guest):
    script = run(f"echo once >>{guest.folder}/count")

    answers = [guest.begin(script), guest.begin(script)]
    ended(guest)

    assert answers == [Begun.WELL, Begun.WELL]
    assert (guest.folder / "count").read_text() == "once\n"
    assert guest.begin(script) is Begun.WELL
    assert (guest.folder / "count").read_text() == "once\n"


def test_goes_on_when_whoever_began_it_is_gone(guest):
    os.mkfifo(guest.folder / "go")
    guest.begin(run(f"echo first; read line <{guest.folder}/go; echo $line; exit 3"))
    again = QemuInside(RunFolder(guest.folder), str(guest.folder / "home"))

    (guest.folder / "go").write_text("last\n")

    progress = ended(again)
    assert (progress.output, progress.exit_code) == (b"first\nlast\n", 3)


def test_tells_what_is_printed_while_it_runs(guest):
    os.mkfifo(guest.folder / "go")
    guest.begin(run(f"echo first; read line <{guest.folder}/go; echo $line"))
    printed(guest, "t-1", b"first\n")

    (guest.folder / "go").write_text("second\n")

    assert ended(guest).output == b"first\nsecond\n"


def test_keeps_the_beginning_and_the_end_of_what_is_printed(guest):
    guest.begin(
        run("i=0; while [ $i -lt 9000 ]; do echo line-$i; i=$((i+1)); done; head -c 300000 /dev/zero; echo end")
    )

    progress = ended(guest)
    whole = b"".join(b"line-%d\n" % n for n in range(9000)) + bytes(300000) + b"end\n"
    assert progress.printed == len(whole)
    assert progress.output == whole[: 12 * 1024] + whole[-12 * 1024 :]


def test_keeps_the_end_where_a_slow_guest_reads_it_long_after_the_command_has_ended(guest):
    (guest.folder / "slow").touch()

    guest.begin(run("head -c 400000 /dev/zero; echo end"))

    progress = ended(guest)
    assert progress.printed == 400_004
    assert progress.output.endswith(b"\0end\n")


def test_ends_a_command_whose_time_is_up_with_all_that_it_started(guest):
    guest.begin(run("sleep 3000 & echo $!; wait", timeout_s=1))

    progress = ended(guest)
    assert (progress.why, progress.exit_code) == ("timeout", None)
    assert is_gone(int(progress.output))


def test_stops_a_command_with_all_that_it_started(guest):
    guest.begin(run("sleep 3000 & echo $!; wait"))
    deadline = time.monotonic() + _LIMIT_S
    while not guest.look("t-1").output:
        assert time.monotonic() < deadline
        time.sleep(0.02)

    guest.stop("t-1")
    guest.stop("t-1")

    progress = ended(guest)
    assert (progress.why, progress.exit_code) == ("stopped", None)
    assert is_gone(int(progress.output))


def test_leaves_alone_what_a_command_leaves_running(guest):
    os.mkfifo(guest.folder / "go")
    guest.begin(run(f"(read line <{guest.folder}/go; echo late; echo done >{guest.folder}/went) & echo begun"))

    progress = ended(guest)
    guest.forget("t-1")
    (guest.folder / "go").write_text("go\n")

    assert (progress.output, progress.exit_code) == (b"begun\n", 0)
    deadline = time.monotonic() + _LIMIT_S
    while not (guest.folder / "went").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether a process ends soon, as one that was killed does."""
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_tells_of_a_command_that_nobody_watches_any_more(guest):
    guest.begin(run("echo $PPID; sleep 3000"))
    deadline = time.monotonic() + _LIMIT_S
    while not (guest.folder / "home/t-1/watcher").exists() or not guest.look("t-1").output:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    watched = guest.look("t-1").why

    os.kill(int((guest.folder / "home/t-1/watcher").read_text()), 9)

    assert watched == ""
    assert ended(guest).why == "lost"
    guest.stop("t-1")


def test_tells_of_one_that_was_never_there_that_it_is_lost(guest):
    assert guest.look("t-none").why == "lost"


def test_removes_what_was_kept_of_a_command(guest):
    guest.begin(run("echo secret"))
    ended(guest)

    guest.forget("t-1")

    deadline = time.monotonic() + _LIMIT_S
    while (guest.folder / "home/t-1").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_keeps_a_command_from_others_eyes(guest):
    guest.begin(run("echo secret"))
    ended(guest)

    kept = {path.name: path.stat().st_mode & 0o077 for path in (guest.folder / "home/t-1").iterdir()}
    assert {name: mode for name, mode in kept.items() if mode} == {}


def a_file(own, **more: object) -> SentFile:
    return SentFile(
        **{"name": "t-1", "content": b"\x00\xffbytes\n", "folder": f"{own}/new/place", "file": "it", **more}
    )


def test_puts_a_file_into_the_guest(guest):
    begun = guest.send(a_file(guest.folder, mode="0600"))

    path = guest.folder / "new/place/it"
    assert begun is Begun.WELL
    assert path.read_bytes() == b"\x00\xffbytes\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["it"]


def test_replaces_a_file_only_when_it_is_to(guest):
    (guest.folder / "it").write_text("before")

    refused = guest.send(a_file(guest.folder, folder=str(guest.folder)))
    kept = (guest.folder / "it").read_text()
    allowed = guest.send(a_file(guest.folder, folder=str(guest.folder), name="t-2", overwrites=True))

    assert (refused, kept) == (Begun.FILE_EXISTS, "before")
    assert allowed is Begun.WELL
    assert (guest.folder / "it").read_bytes() == b"\x00\xffbytes\n"


def test_sends_nothing_twice(guest):
    first = guest.send(a_file(guest.folder))

    # By now the file is there, which is no reason to refuse: it is this one.
    assert (first, guest.send(a_file(guest.folder))) == (Begun.WELL, Begun.WELL)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"owner": "nobody-has-this-name"}, Begun.NO_USER),
        ({"group": "nobody-has-this-name"}, Begun.NO_GROUP),
        ({"folder": "/dev/null/place"}, Begun.NO_FOLDER),
    ],
)
def test_says_why_a_file_cannot_be_put_there(guest, asked, told):
    assert guest.send(a_file(guest.folder, **asked)) is told


def test_says_what_the_agent_is(guest):
    about = guest.about()

    assert about.runs_commands
    assert about.version[0].isdigit()


def test_tells_boots_apart(guest):
    assert guest.boot() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_says_that_an_agent_does_not_answer(place):
    absent = inside(place)

    for ask in (absent.about, absent.boot, lambda: absent.look("t-1"), lambda: absent.begin(run("true"))):
        with pytest.raises(AgentSilent):
            ask()


def test_says_that_an_agent_refuses(guest):
    with pytest.raises(AgentRefused, match="pid"), conversing(guest.folder / "agent", _LIMIT_S) as agent:
        agent.call("guest-exec-status", pid=999_999_999)


def test_does_each_thing_once_over_a_kill_at_any_point(guest):
    script = run(f"echo once >>{guest.folder}/count; sleep 3000")

    began = kills(lambda: guest.begin(script))
    stopped = kills(lambda: guest.stop("t-1"))
    why = ended(guest).why
    sent = kills(lambda: guest.send(a_file(guest.folder, name="t-2")))
    forgotten = kills(lambda: guest.forget("t-1"))

    assert (began, stopped, sent, forgotten) == (2, 2, 2, 2)
    assert why == "stopped"
    assert (guest.folder / "count").read_text() == "once\n"
    assert (guest.folder / "new/place/it").read_bytes() == b"\x00\xffbytes\n"


def kills(act) -> int:
    """Do something again and again, killed at its first point, at its second and so on, until it ends well."""
    number = 0
    while killed_at(number, act):
        number += 1
    return number


def test_gives_a_user_a_password(guest):
    guest.set_password("root", "Pass:word-1:")

    assert passwords_in(guest.folder) == ["root:Pass:word-1:"]


def test_says_that_the_guest_refuses_a_password_and_not_which(guest):
    (guest.folder / "no-passwords").touch()

    with pytest.raises(AgentRefused) as refused:
        guest.set_password("root", "Pass-word-1")

    assert "Pass-word-1" not in str(refused.value)
    assert passwords_in(guest.folder) == []
