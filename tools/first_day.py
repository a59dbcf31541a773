"""Lives a newcomer's first day with Kiln again, and writes docs/a-first-day.md: what a terminal showed.

A bare Debian is made by debootstrap, with git, python3, apt and certificates alone. In it somebody clones Kiln and does
what ``tools/first_day_story.py`` tells, in windows of tmux of 80 columns and 24 lines: once as an ordinary user, once
as root. Of what they showed nothing is changed but that secrets are masked, and that long answers are cut, which is
said where it is done. It takes a quarter of an hour, most of it for machines that boot without KVM.

    tools/first_day.py FOLDER            make the page anew; the bare system is kept in FOLDER for the next time
    tools/first_day.py FOLDER --print    print it, and leave the page as it is
    tools/first_day.py FOLDER --who NAME only "kiln" or "root", to see how a change looks; implies --print

Needs root, debootstrap, git, tmux and unshare, and port 8787 of 127.0.0.1. Everything is mounted, and every process
runs, in namespaces of its own, which end with this program. Only what is committed is tried.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.first_day_story import COLUMNS, LINES, PREFACE, STORIES, Day  # noqa: E402

PAGE = ROOT / "docs/a-first-day.md"
LIMIT_S = 1200.0
LOOK_S = 0.2
ALONE = ("unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")
BARE = ROOT / "tools/debootstrap-check.sh"
#: Of this machine's environment, what reaches the package registries.
NETWORK = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_TRUSTED_HOST", "SSL_CERT_FILE", "PIP_CERT")
SECRET = re.compile(r"(AccessKey secret +|AppSecret +)\S+")


@dataclass
class Window:
    """A window of tmux: a login shell of somebody in the bare system."""

    socket: Path
    name: str
    prompt: str  #: What stands before a command, with ``{}`` for the folder.

    def open(self, command: Sequence[str]) -> None:
        """Start its shell."""
        is_first = subprocess.run([*self._tmux("has-session")], capture_output=True, check=False).returncode != 0
        words = ["new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES)] if is_first else ["new-window", "-d"]
        self._do(*words, "-n", self.name, *command)
        self.wait(self.is_at_prompt)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names of them, such as ``Tab`` and ``C-c``."""
        self._do("send-keys", "-t", self.name, *keys)

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._do("send-keys", "-t", self.name, "-l", text)

    def wait(self, holds: Callable[[], bool]) -> None:
        """Wait until it is so, or end the day with what the window shows."""
        deadline = time.monotonic() + LIMIT_S
        while not holds():
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} does not get on:\n" + "\n".join(self.shown(0)))
            time.sleep(LOOK_S)

    def line(self) -> int:
        """The line that the cursor is in, counted from the first that the window ever showed."""
        told = self._do("display-message", "-p", "-t", self.name, "#{history_size} #{cursor_y}")
        return sum(map(int, told.split()))

    def shown(self, first: int) -> list[str]:
        """The lines from number *first* to the cursor's."""
        history = int(self._do("display-message", "-p", "-t", self.name, "#{history_size}"))
        text = self._do("capture-pane", "-p", "-t", self.name, "-S", str(first - history))
        return text.rstrip("\n").split("\n")[: self.line() - first + 1]

    def run(self, command: str, *, until: str = "") -> list[str]:
        """Do a command; what it printed until the next prompt, or until a line has *until* in it."""
        first = self.line()
        before = self.shown(first)[-1].rstrip() + " "
        self.type(command)
        self.press("Enter")
        echoed = 1 + (len(before) + len(command) - 1) // COLUMNS
        if until:
            self.wait(lambda: any(until in line for line in self.shown(first + echoed)))
            return self.shown(first + echoed)
        self.wait(lambda: self.line() >= first + echoed and self.is_at_prompt())
        return self.shown(first + echoed)[:-1]

    def folder(self) -> str:
        """The prompt as it stands there."""
        return self.shown(self.line())[-1].rstrip()

    def is_at_prompt(self) -> bool:
        """Whether a command is awaited, and nothing typed."""
        return re.fullmatch(self.prompt, self.shown(self.line())[-1].rstrip()) is not None

    def _tmux(self, *words: str) -> list[str]:
        return ["tmux", "-S", str(self.socket), "-f", str(self.socket.with_suffix(".conf")), *words]

    def _do(self, *words: str) -> str:
        return subprocess.run(self._tmux(*words), capture_output=True, text=True, check=True).stdout


def make_bare(folder: Path, who: str) -> Path:
    """A bare system with nothing of Kiln's but a repository to clone; of the last day it may have one to copy."""
    suite = _phase("codename")
    settings = {"suite": suite, "mirror": _phase("mirror_of_this_system", suite=suite)}
    bare, used = folder / suite, folder / f"day-{who}"
    if not (done := folder / f"{suite}.complete").exists():
        shutil.rmtree(bare, ignore_errors=True)
        subprocess.run(
            [*ALONE, sys.executable, __file__, "--make", str(bare)],
            check=True,
            env=os.environ | {"SUITE": suite, "MIRROR": settings["mirror"]},
        )
        done.touch()
    shutil.rmtree(used, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", bare, used], check=True)
    _phase("carry_network_over", str(used), **settings)
    subprocess.run(["git", "clone", "--quiet", "--bare", "--no-local", ROOT, used / "srv/kiln.git"], check=True)
    (used / "etc/hostname").write_text("debian\n")
    (used / "etc/hosts").write_text("127.0.0.1 localhost debian\n" + (used / "etc/hosts").read_text())
    return used


def _phase(name: str, *words: str, **settings: str) -> str:
    """What a function of the check on bare systems prints."""
    environment = os.environ | {"suite": "", "mirror": "", "components": "main", "user": "no"} | settings
    done = subprocess.run(
        ["sh", BARE, "--phase", name, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def live(used: Path, who: str) -> str:
    """A day in that system, as Markdown. The caller is alone in namespaces of its own."""
    subprocess.run(["hostname", "debian"], check=True)
    for words in (
        ("--bind", used, used),
        ("-t", "proc", "proc", used / "proc"),
        ("-t", "sysfs", "-o", "ro", "sysfs", used / "sys"),
        ("-t", "tmpfs", "tmpfs", used / "run"),
        ("-t", "devpts", "-o", "gid=5,mode=620,ptmxmode=666", "devpts", used / "dev/pts"),
        ("-t", "tmpfs", "tmpfs", used / "dev/shm"),
    ):
        subprocess.run(["mount", *words], check=True)
    chroot = ("chroot", str(used))
    subprocess.run([*chroot, "useradd", "--create-home", "--shell", "/bin/bash", "kiln"], check=True)
    subprocess.run([*chroot, "git", "config", "--system", "safe.directory", "*"], check=True)
    small = used / "mnt/small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", small], check=True)
    subprocess.run([*chroot, "chown", who, "/mnt/small"], check=True)
    with tempfile.TemporaryDirectory() as beside:
        socket = Path(beside) / "tmux"
        socket.with_suffix(".conf").write_text(
            "set -g history-limit 100000\nset -g status off\nset -g remain-on-exit on\n"
        )

        def window(name: str, user: str = who) -> Window:
            home, sign = ("/root", "#") if user == "root" else (f"/home/{user}", r"\$")
            opened = Window(socket, name, rf"{user}@debian:\S*{sign}")
            opened.open([*_shell(used, user, home)])
            return opened

        return Day(window, masked, ROOT).tell(STORIES[who])


def _shell(used: Path, user: str, home: str) -> list[str]:
    """What starts a login shell in the bare system, with Debian's own prompt."""
    known = {
        "HOME": home,
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/bash",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "screen",
        "PS1": r"\u@\h:\w\$ ",
        **{name: os.environ[name] for name in NETWORK if name in os.environ},
    }
    pairs = [f"{name}={value}" for name, value in known.items()]
    change = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return ["chroot", str(used), *change, "env", "-i", "-C", home, *pairs, "bash", "--norc", "-i"]


def masked(line: str) -> str:
    """A line without a secret that stands in it."""
    return SECRET.sub(lambda found: found[1] + "*" * 30, line)


def main() -> None:
    """Live both days, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the bare system is kept")
    parser.add_argument("--print", action="store_true", dest="is_printed", help="leave the page as it is")
    parser.add_argument("--who", choices=list(STORIES), help="live one day alone, and print it")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:  # Called by make_bare(), alone in its namespaces.
        _phase("make_base", str(given.folder), suite=os.environ["SUITE"], mirror=os.environ["MIRROR"])
        return
    if given.live:
        given.live.write_text(live(given.folder, given.who))
        return
    if os.geteuid() != 0:
        raise SystemExit("must be root: it makes a system with devices and changes its root folder")
    for tool in ("debootstrap", "git", "tmux", "unshare"):
        if shutil.which(tool) is None:
            raise SystemExit(f"needs {tool}")
    # What is run alone in its namespaces ends with whoever waits for it, when that is ended in order.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    given.folder.mkdir(parents=True, exist_ok=True)
    told = []
    for who in [given.who] if given.who else STORIES:
        used = make_bare(given.folder.resolve(), who)
        page = given.folder.resolve() / f"day-{who}.md"
        try:
            words = [sys.executable, __file__, str(used), "--who", who, "--live", str(page)]
            subprocess.run([*ALONE, *words], check=True)
        finally:
            shutil.rmtree(used, ignore_errors=True)
        told.append(page.read_text())
    version = subprocess.run(
        [sys.executable, "-P", "-m", "kiln.cli.main", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    whole = PREFACE.format(version=version, date=time.strftime("%Y-%m-%d", time.gmtime())) + "".join(told)
    if given.is_printed or given.who:
        print(whole)
    else:
        PAGE.write_text(whole)


if __name__ == "__main__":
    main()
