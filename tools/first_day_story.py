"""What is done on a first day with Kiln, in its order, and the page on which ``tools/first_day.py`` writes it down."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

COLUMNS, LINES = 80, 24
WIDTH = 120

PREFACE = """\
# A first day

This is what a terminal of 80 columns showed to somebody who had never seen Kiln: a bare Debian 12 with git, python3
and apt, and no KVM. First it is an ordinary user who may not become root, then [root](#the-same-as-root).
`tools/first_day.py` lived both days on {date} with Kiln {version}, and wrote this page. Nothing is changed in it but
that secrets are masked, that commands longer than a line stand on one, and that some answers are cut: `[...]` says
where, and how much.
"""

#: How many lines of an answer are shown at most, and how many of those are its last.
_MOST, _LAST = 40, 6


class Day:
    """A day as it is lived: windows by what they are for, and the page as far as it is written."""

    def __init__(
        self, window: Callable[..., Any], masked: Callable[[str], str], root: Path, looks_s: float = 3.0
    ) -> None:
        """*looks_s* is how long somebody looks at what is shown, before going on; nothing depends on it."""
        self._window = window
        self._masked = masked
        self._looks_s = looks_s
        self._windows: dict[str, Any] = {}
        self._page: list[str] = []
        self._block: list[str] = []
        self.readme = (root / "README.md").read_text()

    @property
    def page(self) -> str:
        """What is written so far."""
        self._close()
        return "".join(self._page)

    def tell(self, story: Callable[[Day], None]) -> str:
        """Live it; the page."""
        story(self)
        return self.page

    def title(self, text: str, level: int = 2) -> None:
        """A heading."""
        self._close()
        self._page.append(f"\n{'#' * level} {text}\n")

    def say(self, text: str) -> None:
        """A paragraph."""
        self._close()
        self._page.append(f"\n{_fold(text)}\n")

    def do(self, command: str, *, at: str = "shell", until: str = "", most: int = _MOST, last: int = _LAST) -> None:
        """A command of a window, and what it printed, of which *most* lines are shown."""
        window = self.at(at)
        before = window.folder()
        self.show(f"{before} {command}", window.run(command, until=until), most=most, last=last)

    def interrupt(self, command: str, *, at: str = "shell", once: str) -> None:
        """A command that is ended by Ctrl-C once it shows a text."""
        window = self.at(at)
        before, first = window.folder(), window.line()
        window.run(command, until=once)
        time.sleep(self._looks_s)
        window.press("C-c")
        window.wait(lambda: window.line() > first + 1 and window.is_at_prompt())
        self.show(f"{before} {command}", window.shown(first)[1:-1])

    def complete(self, typed: str, *, at: str = "shell", shows: str) -> None:
        """Type something and press Tab, until it shows something; then it is given up."""
        window = self.at(at)
        before, first = window.folder(), window.line()
        window.type(typed)

        def tries() -> bool:
            window.press("Tab")
            time.sleep(self._looks_s)
            return shows in "\n".join(window.shown(first))

        window.wait(tries)
        found = window.shown(first)
        window.press("C-c")
        window.wait(window.is_at_prompt)
        self.show(f"{before} {typed}<Tab>", found)

    def talk(self, command: str, said: Sequence[str], *, at: str = "shell", asks: str) -> None:
        """A command that asks for more: each answer when it *asks* again, the last of which ends it."""
        window = self.at(at)
        before, first = window.folder(), window.line()
        window.type(command)
        window.press("Enter")
        for number, answer in enumerate(said):
            window.wait(lambda n=number: sum(line.startswith(asks) for line in window.shown(first)) == n + 1)
            window.type(answer)
            window.press("Enter")
        window.wait(window.is_at_prompt)
        self.show(f"{before} {command}", window.shown(first)[1:-1])

    def show(self, said: str, lines: Iterable[str], *, most: int = _MOST, last: int = _LAST) -> None:
        """Write down a command and what was shown for it."""
        kept = [self._masked(line.rstrip()) for line in lines]
        while kept and not kept[-1]:
            kept.pop()
        if len(kept) > most:
            left_out = len(kept) - most
            kept = [*kept[: most - last], f"[... {left_out} lines are left out here ...]", *kept[len(kept) - last :]]
        self._block += [said, *kept]

    def at(self, name: str) -> Any:
        """The window for something, opened at its first use; ``root`` is root's, the others begin in the checkout."""
        if name not in self._windows:
            self._windows[name] = self._window(name, **({"user": "root"} if name == "root" else {}))
            if name not in ("shell", "root"):
                self._windows[name].run("cd kiln")
        return self._windows[name]

    def session_of_readme(self) -> list[str]:
        """The lines of the README's shell session, without what it says of them."""
        (text,) = re.findall(r"^```sh\n(.*?)^```$", self.readme, re.MULTILINE | re.DOTALL)
        return [line.partition("  #")[0].rstrip() for line in text.splitlines()]

    def _close(self) -> None:
        """End the block that is being written."""
        if self._block:
            self._page.append("\n```console\n" + "".join(f"{line}\n" for line in self._block) + "```\n")
            self._block = []


def _fold(text: str) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return "\n".join(lines)


def of_a_user(day: Day) -> None:
    """Somebody who may not become root, from the clone to the trash."""
    day.title("Get it, and see what it does")
    day.say("What Kiln needs of Debian only root can install. The list is short, and it says what each is for:")
    day.do("git clone /srv/kiln.git kiln")
    day.do("cd kiln")
    day.do("./kiln demo")
    day.say("So root does that, elsewhere, and the demo begins anew:")
    packages = _packages_asked_for(day)
    install = f"apt-get update && apt-get install --no-install-recommends --assume-yes {packages}"
    day.do(install, at="root", most=0, last=0)
    day.do("./kiln demo")
    day.title("What the machine has, and the service")
    day.do("./kiln doctor")
    day.say("A Kiln of one's own is served in a second terminal:")
    day.do("./kiln serve", at="service", until="listening on")
    _readme(day)
    _look_around(day)
    _from_elsewhere(day)
    _mistakes(day)
    _stop_and_go_on(day)
    day.title("Clear up")
    day.do("./kiln instance delete web web-copy --force")
    day.do("./kiln image delete web-1 --with-snapshots")
    day.say("What was deleted waits for some days in a trash, under its name:")
    day.do("./kiln trash list")
    day.do("./kiln trash restore web-1")
    day.do("./kiln image list")


def of_root(day: Day) -> None:
    """Root, who has less to do: what is missing is installed, and machines are confined."""
    day.title("The same as root")
    day.say("Root is asked nothing: what is missing is named, and installed.")
    day.do("git clone /srv/kiln.git kiln")
    day.do("cd kiln")
    day.do("./kiln demo")
    day.do("./kiln doctor")
    day.do("./kiln serve", at="service", until="listening on")
    _readme(day, is_again=True)
    day.do("./kiln instance list")
    day.do("./kiln status")
    _stop_and_go_on(day)
    day.do("./kiln instance delete web web-copy --force")


def _packages_asked_for(day: Day) -> str:
    """What the launcher has told the user to have installed."""
    # A terminal has broken it where its last column was.
    told = "".join(line if len(line) == COLUMNS else f"{line}\n" for line in day.page.splitlines())
    found = re.search(r"--no-install-recommends((?:\s+[a-z0-9.+-]+)+)", told)
    if found is None:
        raise SystemExit(f"nothing was asked for:\n{day.page}")
    return " ".join(found[1].split())


def _readme(day: Day, *, is_again: bool = False) -> None:
    if not is_again:
        day.title("The README, line by line")
    for line in day.session_of_readme():
        day.do(line)
    if is_again:
        return
    day.say("And its script, with the official SDK in an environment of its own:")
    day.do("python3 -m venv sdk && sdk/bin/pip install alibabacloud-ecs20140526", most=0, last=0)
    day.do("sed -n '/^```python/,/^```/{/^```/!p}' README.md > sdk.py")
    day.do("sdk/bin/python sdk.py")


def _look_around(day: Day) -> None:
    day.title("Look around")
    day.do("./kiln status")
    day.do("./kiln instance list")
    day.do("./kiln instance show web", most=14)
    day.say("The sample obeys on its console; a guest of one's own is joined by `kiln instance console --attach`.")
    day.talk("./kiln instance shell web", ["help", "disks", "read /data0/hello", "exit"], asks="guest>")
    day.say("Tab knows the words, and the names that are there:")
    day.do('eval "$(./kiln completion bash)"')
    day.complete("./kiln inst", shows="instance")
    day.complete("./kiln instance show we", shows="web-copy")


def _from_elsewhere(day: Day) -> None:
    day.title("Out, and in from elsewhere")
    day.do("./kiln image export base --format qcow2 --output base.qcow2")
    day.do("./kiln image export web-1 --format qcow2")
    day.say("A web server in a third terminal has the first of them:")
    day.do("python3 -m http.server 8000 --bind 127.0.0.1", at="web", until="Serving HTTP")
    day.do("./kiln image import --url http://127.0.0.1:8000/base.qcow2 --name from-url --dry-run")
    day.do("./kiln image import --url http://127.0.0.1:8000/base.qcow2 --name from-url")
    day.do("./kiln image import --url http://127.0.0.1:8000/README.md --name a-page")
    day.do("./kiln image list")


def _mistakes(day: Day) -> None:
    day.title("When something is not as one thinks")
    day.say("A word and a name that are not there:")
    day.do("./kiln statsu")
    day.do("./kiln instance show wbe")
    day.do("./kiln instance show copy")
    day.do("./kiln image delete base")
    day.do("./kiln instance delete web")
    day.say("Ctrl-C in a wait, which would not have ended:")
    day.interrupt("./kiln wait web --noun instance --until Stopped", once="Running")
    day.do("echo $?")
    day.say("A disk that is full:")
    day.do("df -h /mnt/small")
    day.do("./kiln image export base --format qcow2 --output /mnt/small/base.qcow2")
    day.do("head -c 16M /dev/zero > /mnt/small/filler")
    day.do("./kiln serve --data /mnt/small/kiln --listen 127.0.0.1:0")


def _stop_and_go_on(day: Day) -> None:
    day.title("Stop the service, and go on")
    day.say("Ctrl-C in the service's terminal. Machines live on:")
    window = day.at("service")
    first = window.line()
    window.press("C-c")
    window.wait(window.is_at_prompt)
    said = window.shown(first)[:-1]
    day.show(said[0], said[1:])
    day.do("./kiln instance list")
    day.say("And the next start finds them:")
    day.do("./kiln serve", at="service", until="listening on")
    day.do("./kiln instance list")
    day.do("./kiln instance shell web read /data0/hello")


STORIES: Mapping[str, Callable[[Day], None]] = {"kiln": of_a_user, "root": of_root}
