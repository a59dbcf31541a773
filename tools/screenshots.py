"""Takes the pictures of the console that the documentation shows: ``tools/screenshots.py``, by hand.

They come from the story that the browser's tests hold, told once more before a Kiln with real machines. Names and times
differ from run to run, so the pictures are made anew when what they show has changed, and no check compares them; that
each of the story's is there and shown is held by ``tests/docs/test_pictures.py``.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from kiln.client.client import Client  # noqa: E402 - the checkout is to be found first.
from tests.browser.hands import Mouse  # noqa: E402
from tests.browser.story import Story  # noqa: E402
from tests.browser.windows import open_browser, open_window  # noqa: E402
from tests.guests import build_guest, open_reachable  # noqa: E402
from tests.warm import start_kiln  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
_VIEW = {"width": 1280, "height": 720}


def main() -> None:
    """Take them all."""
    PICTURES.mkdir(exist_ok=True)
    with open_reachable() as folder, start_kiln(folder / "data", machines="qemu", accel="tcg") as served:
        link = next(line.split()[-1] for line in served.log.read_text().splitlines() if line.startswith("console "))
        client = Client(served.endpoint, served.access_key_id, served.secret, served.region)
        with (
            closing(client),
            open_browser() as browser,
            open_window(browser, served.endpoint, viewport=_VIEW, color_scheme="light") as window,
        ):
            window.page.goto(link)
            window.page.wait_for_url("**/console/")

            def shoot(name: str) -> None:
                window.page.screenshot(path=PICTURES / f"{name}.png")
                print(f"docs/pictures/{name}.png")

            Story(Mouse(window.page), client, shoot).tell(build_guest(folder / "guest.qcow2"))


if __name__ == "__main__":
    main()
