"""The main job, told in a browser before a served Kiln with machines: what ``tests/browser/test_main_job.py`` holds and
``tools/screenshots.py`` takes the pictures of the documentation from.
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiln.client import waiters
from kiln.client.client import Client
from kiln.console.texts import Texts
from kiln.guest.image import READY
from tests.browser.hands import Keyboard, Mouse

TYPE = "ecs.t5-lc2m1.nano"
PATH = "/data0/demo"
FIRED, LATER = "Fired once, poured often.", "Written after the image was made."

#: Names of the pictures, in the order of the story.
PICTURES = ("import", "image", "run", "terminal", "create-image", "images", "lineage", "copy", "overview")

_BOOTS_WITHIN_S = 300.0  #: Under TCG on a busy machine.
_KNOCK_EVERY_S = 1.0
_PATIENCE_MS = 300_000

#: The small guest is told to begin on an empty screen, with a line that is not in the command itself.
_FOR_PEOPLE = r"run printf '\033[2J\033[H%s {}\n' Terminal >/dev/ttyS0"
_ROWS = """[...document.querySelectorAll(".xterm-rows > div")].map(row => row.textContent.replaceAll("\\xa0", " "))"""
#: Whether the screen has a line, and below it an answer that begins so; a refusal counts as one.
_ANSWERED = f"""([line, answer]) => {{
  const [, ...below] = {_ROWS}.join("\\n").split(line)
  return below.length > 0 && [answer, ">> error"].some(one => below.at(-1).includes(one))
}}"""

t = Texts("en")


@dataclass
class Story:
    """Who tells it: *hands* on a page of who has signed in, a *client* to wait with, and who takes pictures."""

    hands: Mouse | Keyboard
    client: Client
    shoot: Callable[[str], None]
    terminals: int = 0  #: That were joined.

    @property
    def page(self) -> Any:
        """What the hands are on."""
        return self.hands.page

    def tell(self, disk: Path) -> None:
        """All of it, with the small guest's disk. Raises AssertionError."""
        golden = self.bring_in(disk)
        first = self.run(golden, "web")
        self.ask(first, f"write {PATH} {FIRED}", "sync")
        self.shoot("terminal")
        self.ask(first, "seq start")  # It writes on, while the image is made.
        image = self.create_image(first, "web-1")
        self.ask(first, "seq stop", f"write {PATH} {LATER}", "sync")
        second = self.run(image, "web-copy")
        self.ask(second, f"read {PATH}", says=FIRED)
        self.shoot("copy")
        self.ask(first, f"read {PATH}", says=LATER)
        self.page.goto("/console/lineage")
        self.shoot("lineage")
        self.replace(first, image)
        self.ask(first, f"read {PATH}", says=FIRED)
        self.page.goto("/console/")
        self.page.locator("#held table").first.wait_for()  # They come by themselves, after the page.
        self.shoot("overview")
        for instance in (first, second):
            self.delete("instances", instance, "DeleteInstance")
        self.delete("images", image, "DeleteImage")

    def bring_in(self, disk: Path) -> str:
        """Hand a disk's file over to the page and import it; returns the image, when it can be run."""
        page = self.page
        page.goto("/console/files")
        self.hands.hand_over(disk)
        page.wait_for_url("**/console/images/ImportImage?*", timeout=_PATIENCE_MS)
        self.hands.fill("ImageName", "golden")
        self.shoot("import")
        self.check_and("do.ImportImage")
        return self.made("image", "Available")

    def run(self, image: str, name: str) -> str:
        """Run an instance of an image; returns it, when it runs."""
        page = self.page
        page.goto(f"/console/images/{image}")
        if name == "web":
            self.shoot("image")
        self.hands.press(t("do.RunInstances"))
        self.hands.fill("InstanceType", TYPE)
        self.hands.fill("InstanceName", name)
        if name == "web":
            self.shoot("run")
        self.check_and("do.RunInstances")
        return self.made("instance", "Running")

    def create_image(self, instance: str, name: str) -> str:
        """Make an image of a running instance; returns it, when it is there."""
        page = self.page
        page.goto(f"/console/instances/{instance}")
        self.hands.press(t("do.CreateImage"))
        self.hands.fill("ImageName", name)
        self.hands.press(t("form.check"))
        page.get_by_text(t("form.would")).wait_for()
        self.shoot("create-image")
        self.hands.press(t("do.CreateImage"))
        image = self.made("image", "Available")
        page.goto("/console/images")
        self.shoot("images")
        return image

    def replace(self, instance: str, image: str) -> None:
        """Stop an instance, give it a new system disk of an image, and start it."""
        page = self.page
        page.goto(f"/console/instances/{instance}")
        self.hands.press(t("do.StopInstance"))
        self.check_and("do.StopInstance")
        self.seen("Stopped")
        self.hands.press(t("do.ReplaceSystemDisk"))
        self.hands.fill("ImageId", image)
        self.check_and("do.ReplaceSystemDisk")
        page.goto(f"/console/instances/{instance}")
        self.hands.press(t("do.StartInstance"))
        self.seen("Running")

    def delete(self, noun: str, which: str, action: str) -> None:
        """Delete an instance or an image, although it is in use."""
        page = self.page
        page.goto(f"/console/{noun}/{which}")
        self.hands.press(t(f"do.{action}"))
        self.hands.choose("Force", "true")
        self.check_and(f"do.{action}")
        page.wait_for_url(f"**/console/{noun}*")
        assert page.request.get(f"/console/{noun}/{which}").status == http.client.NOT_FOUND

    def ask(self, instance: str, *commands: str, says: str = "") -> None:
        """Type commands into the guest's terminal, of which the last is answered so."""
        page = self.page
        page.goto(f"/console/instances/{instance}/terminal")
        page.get_by_text(t("terminal.joined")).wait_for(timeout=_PATIENCE_MS)
        deadline = time.monotonic() + _BOOTS_WITHIN_S
        while READY not in (shown := self.shown()):
            assert time.monotonic() < deadline, f"the guest has not come up:\n{shown}"
            page.keyboard.press("Enter")
            page.wait_for_timeout(_KNOCK_EVERY_S * 1000)
        self.terminals += 1
        page.keyboard.type(_FOR_PEOPLE.format(self.terminals) + "\n")
        self.wait(f"Terminal {self.terminals}", "")
        for command in commands:
            page.keyboard.type(f"{command}\n")
            self.wait(command, says if command == commands[-1] else "")

    def wait(self, line: str, says: str) -> None:
        """Wait until the guest has answered below that line."""
        self.page.wait_for_function(_ANSWERED, arg=[line, f">> ok {says}".rstrip()], timeout=_PATIENCE_MS)
        assert ">> error" not in self.shown().rpartition(line)[2], self.shown()

    def shown(self) -> str:
        """What the terminal shows."""
        text: str = self.page.locator(".xterm-rows").inner_text()
        return text.replace("\xa0", " ")

    def check_and(self, text: str) -> None:
        """Have the form say what it would do, where it can, and then do it."""
        check = self.page.get_by_role("button", name=t("form.check"), exact=True)
        if check.count():
            self.hands.press(t("form.check"))
            self.page.get_by_text(t("form.would")).wait_for()
        self.hands.press(t(text))

    def made(self, noun: str, state: str) -> str:
        """The ID of the thing whose page is shown now, when it has that state."""
        self.page.wait_for_url(re.compile(rf"/console/{noun}s/{noun[0] if noun == 'instance' else 'm'}-\w+$"))
        which: str = self.page.url.rpartition("/")[2]
        waiters.wait(self.client, noun, which, until=state)
        self.seen(state)
        return which

    def seen(self, state: str) -> None:
        """Wait until the page shows that state, without being loaded again by hand."""
        self.page.locator(".state", has_text=state).first.wait_for(timeout=_PATIENCE_MS)
