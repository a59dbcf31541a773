"""The launcher, in a small checkout of its own: real environments, a package made here, apt-get and sudo played."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tools import needs
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent
#: What the launcher calls besides the shell; python3 is ours, apt-get and sudo are played.
COMMANDS = (
    "cat", "cksum", "cut", "dirname", "env", "flock", "grep", "id", "mkdir", "readlink", "rm", "sh", "sleep", "tail",
)  # fmt: skip
LOCKS = tuple(f"requirements{of}.lock" for of in ("", "-dev", "-asapi", "-build", "-docs", "-peers"))
PROGRAM = """
import os, sys
import tiny
print(os.getcwd(), *sys.argv[1:], sep="|")
"""


@dataclass(frozen=True)
class Checkout:
    """A folder with the launcher, a program that prints its arguments, and a path with nothing but the needful."""

    folder: Path
    commands: Path

    def start(self, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.folder / "kiln"), *words],
            cwd=cwd or self.folder,
            env={"PATH": str(self.commands)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell has what it runs in the background ignore interrupts, and so would the launcher.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock.
        )

    def run(self, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, cwd=cwd, **environment)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def command(self, name: str, script: str) -> None:
        """Put a shell script on the path under that name."""
        file = self.commands / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def needs(self, *lines: str) -> None:
        """Let serve need what these lines of the table say."""
        (self.folder / "tools/packages.txt").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Its Python gets pip from the environment of the tests: to unpack and compile it takes seven seconds each time."""
    made = make_checkout(tmp_path)
    packages = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    pip = [str(path) for path in (Path(sys.prefix) / packages).glob("pip*")]
    assert pip
    real, copy = os.path.realpath(sys.executable), shlex.join([str(shutil.which("cp")), "-a", *pip])
    made.command(
        "python3",
        f'[ "$1 $2" = "-m venv" ] || exec "{real}" "$@"\n'
        f'"{real}" -m venv --without-pip "$3" && exec {copy} "$3/{packages}/"',
    )
    return made


@pytest.fixture
def whole_checkout(tmp_path: Path) -> Checkout:
    """One whose Python makes environments as the system's does."""
    return make_checkout(tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """A checkout whose environment is made."""
    assert checkout.run("any").returncode == 0
    return checkout


def make_checkout(tmp_path: Path) -> Checkout:
    needs(*COMMANDS)
    folder, commands = tmp_path / "a check out", tmp_path / "commands"
    for part in (folder / "tools", folder / "src/kiln/cli", commands):
        part.mkdir(parents=True)
    shutil.copy(ROOT / "kiln", folder / "kiln")
    (folder / "src/kiln/cli/start.py").write_text(PROGRAM)
    for name in COMMANDS:
        (commands / name).symlink_to(str(shutil.which(name)))
    # The interpreter below all environments; its own name may be a wrapper's.
    (commands / "python3").symlink_to(os.path.realpath(sys.executable))
    made = Checkout(folder, commands)
    made.needs()
    wheel = a_wheel(tmp_path)
    lock = f"tiny @ {wheel.as_uri()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    for name in LOCKS:
        (folder / name).write_text(lock)
    return made


def a_wheel(folder: Path) -> Path:
    """A package with one empty module."""
    wheel = folder / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        archive.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.dist-info/RECORD", "")
    return wheel


def files(folder: Path) -> Mapping[Path, int]:
    """Every file below and when it changed; Python's own caches left out."""
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


@pytest.mark.parametrize(
    "words", [(), ("--help",), ("-h",), ("help",), ("help", "test"), ("setup", "-h"), ("setup", "--help")]
)
def test_explains_its_words_and_installs_nothing(checkout: Checkout, words: tuple[str, ...]) -> None:
    before = files(checkout.folder)

    result = checkout.run(*words)

    assert result.returncode == 0
    assert all(f"./kiln {word}" in result.stdout for word in ("demo", "serve", "test", "check", "bench", "setup"))
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []
    assert files(checkout.folder) == before


def test_a_slip_behind_setup_installs_nothing(checkout: Checkout) -> None:
    before = files(checkout.folder)

    result = checkout.run("setup", "--helo")

    assert result.returncode == 2
    assert '"--helo"' in result.stderr
    assert files(checkout.folder) == before


def test_chooses_no_tests_so_that_the_run_is_judged_as_a_whole(checkout: Checkout) -> None:
    """What tests/judge.py takes for a choice, such as a mark, would have it judge nothing."""
    checkout.command("nproc", "echo 3")
    (checkout.folder / "pytest.py").write_text("import json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    told = {"": [], "all": ["--repeats", "all"], "tests/pools -k merge": ["tests/pools", "-k", "merge"]}
    engines = {"ceph": "ceph", "postgresql": "postgresql and not ceph"}
    told |= {f"{engine} tests/pools": ["-m", mark, "tests/pools"] for engine, mark in engines.items()}

    said = {words: checkout.run("test", *words.split()).stdout.splitlines()[-1] for words in told}

    always = ["-n", "5", "--dist", "loadfile", "--no-loadscope-reorder"]
    assert {words: json.loads(line) for words, line in said.items()} == {w: [*always, *told[w]] for w in told}


def test_names_a_check_that_there_is() -> None:
    """In the real checkout, since the small one has no checks."""
    explained = subprocess.run([ROOT / "kiln", "--help"], capture_output=True, text=True, check=True).stdout
    in_help = re.findall(r'"check (\w+)"', explained)
    in_pages = re.findall(r"`./kiln check (\w+)`", (ROOT / "CONTRIBUTING.md").read_text())

    refused = subprocess.run([ROOT / "kiln", "check", "everything"], capture_output=True, text=True, check=False)

    assert refused.returncode == 2
    there_are = refused.stderr.partition("there are: ")[2].strip().split(", ")
    assert in_help
    assert {*in_help, *in_pages} <= set(there_are)


def test_names_what_is_missing_when_it_may_not_install(checkout: Checkout) -> None:
    checkout.needs("disks no-such-tool a-package makes disks")

    result = checkout.run("serve", KILN_INSTALL="no")

    assert result.returncode == 1
    assert "a-package: makes disks" in result.stderr
    assert ".venv" in result.stderr
    assert not (checkout.folder / ".venv").exists()


@pytest.mark.parametrize("installing", ["yes", "no"])
def test_names_a_python_that_another_user_cannot_reach(checkout: Checkout, tmp_path: Path, installing: str) -> None:
    """It said that something had to be installed, or made the environment anew: the Python was in root's own folder."""
    needs("setpriv")
    home = tmp_path / "a home" / "python/bin"
    home.mkdir(parents=True)
    bin_folder = checkout.folder / ".venv/bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "python").symlink_to(home / "python3")
    (checkout.folder / ".venv/pyvenv.cfg").write_text(f"home = {home}\nversion = 3.11.2\n")
    (tmp_path / "a home").chmod(0)
    # Root may enter each folder, unless it is without this power.
    without = [str(shutil.which("setpriv")), "--bounding-set=-all", "--inh-caps=-all", "--"]

    try:
        refused = subprocess.run(
            [*(without if os.geteuid() == 0 else []), checkout.folder / "kiln", "any"],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": str(checkout.commands), "KILN_INSTALL": installing},
        )
    finally:
        (tmp_path / "a home").chmod(0o700)

    assert refused.returncode == 1
    assert f"the Python in {home}, and you may not enter {tmp_path / 'a home'}" in refused.stderr
    assert "kiln setup" in refused.stderr
    assert (bin_folder / "python").is_symlink()


@pytest.mark.parametrize(
    ("words", "is_wanted"),
    [
        ("bench", True),
        ("bench --section cluster", True),
        ("bench --section=flat --section=cluster", True),
        ("bench --quick --section describe flat", False),
        ("bench --peers", False),
        ("test", False),
        ("test all", True),
        ("test ceph", True),
        ("test postgresql", False),
        ("setup", False),
        ("demo", False),
        ("demo packer", False),
        ("demo cluster", True),
    ],
)
def test_a_ceph_is_for_who_starts_one(checkout: Checkout, words: str, is_wanted: bool) -> None:
    checkout.needs("ceph no-such-tool a-package starts one")

    assert ("a-package" in checkout.run(*words.split(), KILN_INSTALL="no").stderr) is is_wanted


@pytest.mark.parametrize(
    ("words", "is_wanted"), [("test", True), ("setup", True), ("test quick", False), ("serve", False)]
)
def test_a_ceph_is_for_who_lands(checkout: Checkout, words: str, is_wanted: bool) -> None:
    checkout.needs("ceph no-such-tool a-package starts one")

    assert ("a-package" in checkout.run(*words.split(), KILN_INSTALL="no", CI="true").stderr) is is_wanted


@pytest.mark.parametrize(
    ("sudo", "reason"), [("", "neither root nor sudo"), ("exit 1", "sudo wants a password")], ids=["none", "closed"]
)
def test_says_what_root_must_do_when_there_is_no_way_to_become_root(checkout: Checkout, sudo: str, reason: str) -> None:
    """With what is recommended beside the packages it would be five times as much; the lists may be old, or none."""
    checkout.needs("disks no-such-tool a-package makes disks", "disks no-other-tool another makes disks")
    checkout.command("id", "echo 1000")
    checkout.command("apt-get", "exit 1")
    if sudo:
        checkout.command("sudo", sudo)

    result = checkout.run("serve")

    assert result.returncode == 1
    assert reason in result.stderr
    assert " As root:\napt-get update && apt-get install --no-install-recommends a-package another\n" in result.stderr
    assert "install" not in result.stderr.partition("apt-get")[0], "nothing is announced that is not done"


def test_says_so_when_the_system_has_no_apt_get(checkout: Checkout) -> None:
    checkout.needs("disks no-such-tool a-package makes disks")

    result = checkout.run("serve")

    assert result.returncode == 1
    assert "a-package: makes disks" in result.stderr
    assert "no apt-get here" in result.stderr


def test_shows_what_apt_get_said_when_it_fails(checkout: Checkout) -> None:
    checkout.needs("disks no-such-tool a-package makes disks")
    checkout.command("id", "echo 0")
    checkout.command("dpkg", "")
    checkout.command("apt-get", 'echo "the mirror is on fire"; exit 100')

    result = checkout.run("serve")

    assert result.returncode == 1
    assert "the mirror is on fire" in result.stderr


def test_brings_a_newer_python_when_the_systems_own_is_too_old(checkout: Checkout) -> None:
    shutil.copy(ROOT / "tools/packages.txt", checkout.folder / "tools/packages.txt")
    checkout.command("python3", "exit 1")
    checkout.command("id", "echo 0")
    checkout.command("dpkg", "")
    checkout.command("apt-get", "exit 100")

    result = checkout.run("any")

    assert result.returncode == 1
    assert "python3.11-venv:" in result.stderr


def test_explains_serve_without_installing_tools(checkout: Checkout) -> None:
    checkout.needs("disks no-such-tool a-package makes disks", "machines no-such-emulator another runs machines")

    explained = checkout.run("serve", "--help", KILN_INSTALL="no")
    without_machines = checkout.run("serve", "--machines", "none", KILN_INSTALL="no")
    with_machines = checkout.run("serve", KILN_INSTALL="no")

    assert "a-package" not in explained.stderr
    assert "a-package" in without_machines.stderr
    assert "another" not in without_machines.stderr
    assert "another" in with_machines.stderr


@pytest.mark.parametrize(("is_ubuntu", "is_asked_for"), [(True, False), (False, True)])
def test_a_browser_is_asked_for_where_it_is_a_package(
    checkout: Checkout, *, is_ubuntu: bool, is_asked_for: bool
) -> None:
    checkout.needs("browser no-such-browser a-package shows pages")
    checkout.command("grep", f"exit {0 if is_ubuntu else 1}")  # It is asked for one line of /etc/os-release.

    refused = checkout.run("setup", KILN_INSTALL="no")

    assert ("a-package" in refused.stderr) is is_asked_for


@pytest.mark.slow
def test_sets_itself_up_anywhere_and_hands_the_words_on(whole_checkout: Checkout, tmp_path: Path) -> None:
    link = whole_checkout.commands / "kiln"
    link.symlink_to(whole_checkout.folder / "kiln")

    first = whole_checkout.run("a word", "--and=an option", cwd=tmp_path)
    through_link = subprocess.run(
        [link, "x"],
        cwd="/",
        env={"PATH": str(whole_checkout.commands), "HOME": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (first.returncode, first.stdout) == (0, f"{tmp_path}|a word|--and=an option\n")
    assert (through_link.stderr, through_link.stdout) == ("", "/|x\n")


def test_a_tab_before_set_up_shows_and_installs_nothing(checkout: Checkout) -> None:
    before = files(checkout.folder)

    asked = checkout.run(_KILN_COMPLETE="complete_bash", COMP_WORDS="kiln im", COMP_CWORD="1")

    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
    assert files(checkout.folder) == before


@pytest.mark.slow
def test_help_of_a_word_is_what_the_program_says_of_it(ready: Checkout) -> None:
    ready.needs("disks no-such-tool a-package makes disks")

    one, two = (ready.run("help", *words, KILN_INSTALL="no") for words in (["serve"], ["image", "list"]))

    assert (one.stdout, one.stderr) == (f"{ready.folder}|serve|--help\n", "")
    assert (two.stdout, two.stderr) == (f"{ready.folder}|image|list|--help\n", "")


@pytest.mark.slow
def test_a_tab_is_answered_by_the_program_alone(ready: Checkout) -> None:
    asked = ready.run(_KILN_COMPLETE="complete_bash", COMP_WORDS="kiln im", COMP_CWORD="1")

    assert (asked.stdout, asked.stderr) == (f"{ready.folder}\n", "")


@pytest.mark.slow
def test_peers_are_installed_for_who_measures_them_and_for_nobody_else(checkout: Checkout) -> None:
    (checkout.folder / "bench").mkdir()
    (checkout.folder / "bench/__main__.py").write_text(PROGRAM)
    environment = checkout.folder / ".venv-peers"

    alone = checkout.run("bench", "--quick")
    explained = checkout.run("bench", "--peers", "--help")
    had_it = environment.exists()
    beside = checkout.run("bench", "--quick", "--peers")

    assert not had_it
    assert [one.stdout for one in (alone, explained, beside)] == [
        f"{checkout.folder}|{words}\n" for words in ("--quick", "--peers|--help", "--quick|--peers")
    ]
    assert "making .venv-peers" in beside.stderr
    assert subprocess.run([environment / "bin/python", "-c", "import tiny"], check=False).returncode == 0
    assert checkout.run("bench", "--peers").stderr == ""


@pytest.mark.slow
def test_docs_have_an_environment_of_their_own(checkout: Checkout) -> None:
    (checkout.folder / "tools/site.py").write_text(PROGRAM)

    done = checkout.run("docs", "a folder", cwd=checkout.commands)

    assert done.stdout == f"{checkout.commands}|a folder\n"
    assert (checkout.folder / ".venv-docs").exists()
    assert not (checkout.folder / ".venv").exists()


@pytest.mark.slow
def test_does_nothing_and_changes_nothing_the_second_time(ready: Checkout) -> None:
    before = files(ready.folder)

    assert ready.run("any").stderr == "", "each step of a set-up is told"

    assert files(ready.folder) == before


@pytest.mark.slow
def test_two_at_once_wait_for_each_other(checkout: Checkout) -> None:
    both = [checkout.start("one"), checkout.start("two")]

    said = [process.communicate(timeout=300) for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert [out.strip().split("|")[1] for out, _ in said] == ["one", "two"]
    assert "".join(err for _, err in said).count("making .venv") == 1


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["making .venv", "installing the Python packages"])
def test_repairs_a_set_up_that_was_killed(checkout: Checkout, moment: str) -> None:
    killed = checkout.start("any")
    assert killed.stderr is not None
    while moment not in killed.stderr.readline():
        pass
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()

    result = checkout.run("any")

    assert result.returncode == 0
    assert "making it anew" in result.stderr


SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])


@SIGNALS
def test_a_set_up_that_is_ended_leaves_nothing_of_venv_running(checkout: Checkout, number: signal.Signals) -> None:
    """The signal comes to the launcher alone, as from a supervisor; what venv has started ends with it."""
    begun, real = checkout.folder / "begun", os.path.realpath(sys.executable)
    never_ends = checkout.folder / "never_ends.py"
    never_ends.write_text(
        "import signal, subprocess, sys\n"
        f"if sys.argv[1:]:\n    open({str(begun)!r}, 'w').close()\n    signal.pause()\n"
        "subprocess.run([sys.executable, __file__, 'below'])\n"
    )
    checkout.command("python3", f'case "$*" in "-m venv "*) exec "{real}" "{never_ends}" ;; esac; exec "{real}" "$@"')

    assert "making .venv" in said_of_ended(checkout, number, begun.exists)


@pytest.mark.slow
@SIGNALS
def test_a_set_up_that_is_ended_leaves_no_pip_running(checkout: Checkout, number: signal.Signals) -> None:
    """Pip waits for a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.02)
        host, port = server.getsockname()
        lock = f"tiny @ http://{host}:{port}/tiny-1-py3-none-any.whl --hash=sha256:{'0' * 64}\n"
        (checkout.folder / "requirements.lock").write_text(lock)

        def has_asked() -> bool:
            with contextlib.suppress(TimeoutError):
                asked.append(server.accept()[0])
            return bool(asked)

        asked: list[socket.socket] = []
        said = said_of_ended(checkout, number, has_asked)
        asked[0].close()

    assert "installing the Python packages" in said


@pytest.mark.slow
def test_a_set_up_that_takes_long_says_for_how_long_and_what_it_is_at(checkout: Checkout) -> None:
    """Pip waits for a server that never answers; the one who tells ends with the rest."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        url = f"http://{host}:{port}/{'and' * 300}/tiny-1-py3-none-any.whl"
        (checkout.folder / "requirements.lock").write_text(f"tiny @ {url} --hash=sha256:{'0' * 64}\n")
        mark = f"KILN_TEST_MARK={checkout.folder}"
        begun = checkout.start("any", **dict([mark.split("=")]))
        assert begun.stderr is not None
        # Before pip has said anything there is nothing to tell of it, and after a while it says that it tries again.
        said = re.compile(r"still at it after \d+ s: .*(tiny|Retrying)")
        told = next(line for line in begun.stderr if said.search(line))
        begun.send_signal(signal.SIGTERM)
        begun.communicate(timeout=300)

    assert len(told) < 120
    wait_for(lambda: not running_with(mark), within_s=300)


@pytest.mark.slow
def test_of_what_has_said_nothing_yet_it_says_only_for_how_long(checkout: Checkout, tmp_path: Path) -> None:
    """It promised what the log says last, and showed nothing behind the colon."""
    told_of = tmp_path / "told"
    checkout.needs("disks no-such-tool a-package makes disks")
    checkout.command("id", "echo 0")
    checkout.command("dpkg", "")
    checkout.command("apt-get", f"while [ ! -e '{told_of}' ]; do sleep 0.1; done; exit 100")
    begun = checkout.start("serve")
    assert begun.stderr is not None
    told = next(line for line in begun.stderr if "still at it" in line)
    told_of.touch()
    begun.communicate(timeout=300)

    assert re.search(r"still at it after \d+ s$", told)


def said_of_ended(checkout: Checkout, number: signal.Signals, has_come: Callable[[], bool]) -> str:
    """What a set-up said that got the signal when it *has_come* so far; nothing that it started may be left."""
    mark = f"KILN_TEST_MARK={checkout.folder}"
    ended = checkout.start("any", **dict([mark.split("=")]))
    wait_for(has_come, within_s=300)
    ended.send_signal(number)
    _, said = ended.communicate(timeout=300)

    assert ended.returncode == 128 + number
    # All of it was killed by then; of what is not the launcher's own child nobody waits until it has gone.
    wait_for(lambda: not running_with(mark), within_s=300)
    return said


def running_with(variable: str) -> list[str]:
    """The command lines of the processes that have a variable in their environment; those that ended are none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if variable.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text())
    return found


@pytest.mark.slow
def test_installs_again_when_the_lock_file_changes_or_the_checkout_moves(ready: Checkout) -> None:
    with (ready.folder / "requirements.lock").open("a") as lock:
        lock.write("# newer\n")
    changed = ready.run("any")
    moved = Checkout(ready.folder.rename(ready.folder.with_name("elsewhere")), ready.commands)
    after_move = moved.run("any")

    assert (changed.returncode, "set-up is complete" in changed.stderr) == (0, True)
    assert (after_move.returncode, "set-up is complete" in after_move.stderr) == (0, True)
    assert moved.run("any").stderr == ""


@pytest.mark.slow
def test_refuses_a_package_whose_hash_is_not_the_lock_files(checkout: Checkout) -> None:
    lock = checkout.folder / "requirements.lock"
    right = lock.read_text()
    lock.write_text(re.sub("sha256:.*", "sha256:" + "0" * 64, right))

    refused = checkout.run("any")
    lock.write_text(right)
    repaired = checkout.run("any")

    assert refused.returncode == 1
    assert "hash" in refused.stderr.lower()
    assert repaired.returncode == 0


@pytest.mark.slow
def test_installs_missing_packages_by_sudo_and_fetches_lists_only_when_it_must(
    checkout: Checkout, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    checkout.needs("disks new-tool a-package makes disks", "guest other-tool another makes guests")
    checkout.command("id", "echo 1000")
    checkout.command("sudo", f'case $1 in -n) exit 0 ;; esac; echo "sudo $*" >>"{calls}"; exec "$@"')
    checkout.command("dpkg", "")
    checkout.command(
        "apt-get",
        f"""case " $* " in
            *" update "*|*" update") : >"{tmp_path}/lists" ;;
            *) [ -e "{tmp_path}/lists" ] || exit 100
               echo '#!/bin/sh' >"{checkout.commands}/new-tool"; /bin/chmod +x "{checkout.commands}/new-tool" ;;
        esac""",
    )

    result = checkout.run("fsck")

    assert result.returncode == 0, result.stderr
    assert "a-package: makes disks" in result.stderr
    assert "another" not in result.stderr
    assert [re.findall(r" (update|install|--configure)\b", line) for line in calls.read_text().splitlines()] == [
        ["install"],
        ["--configure"],
        ["update"],
        ["install"],
    ]


def test_the_environment_for_tests_can_serve_the_program() -> None:
    program, tests = (pins(ROOT / name) for name in ("requirements.lock", "requirements-dev.lock"))

    assert {name: pin for name, pin in program.items() if tests.get(name) != pin} == {}


@pytest.mark.parametrize("name", LOCKS)
def test_every_pinned_package_has_a_hash(name: str) -> None:
    unchecked = [package for package, pin in pins(ROOT / name).items() if "--hash=sha256:" not in pin]

    assert unchecked == []


def test_every_package_that_is_installed_has_a_reason() -> None:
    lines = (ROOT / "tools/packages.txt").read_text().splitlines()
    table = [line.split(None, 3) for line in lines if line and not line.startswith("#")]

    assert [row for row in table if len(row) < 4] == []
    assert {row[0] for row in table} == {
        "python", "python3.11", "disks", "machines", "guest", "debian", "packer", "postgresql", "ceph",
        "slowdisk", "browser", "packing",
    }  # fmt: skip


def test_every_reason_fits_its_line_on_a_terminal_of_80_columns() -> None:
    lines = (ROOT / "tools/packages.txt").read_text().splitlines()
    table = [line.split(None, 3) for line in lines if line and not line.startswith("#")]

    assert [row for row in table if len(f"kiln:   {row[2]}: {row[3]}") > 80] == []


def pins(lock: Path) -> dict[str, str]:
    """Each package of a lock file with its version and hashes."""
    text = "\n".join(line for line in lock.read_text().splitlines() if not line.lstrip().startswith("#"))
    entries = re.findall(r"^([a-z][^= ]*)(==(?:.*\\\n)*.*)$", text, re.MULTILINE)
    return {name: re.sub(r" ;[^\\]*", " ", pin) for name, pin in entries}
