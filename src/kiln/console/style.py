"""The style that stands in every page, and the hash by which the pages' policy knows it from what others may put there.

So a browser that comes for the first time asks for a page and its script, and for
nothing else. Packed, the style is shorter than what a request of its own would say.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from pathlib import Path

STYLE = (Path(__file__).parent / "console.css").read_text()

#: As ``style-src`` of a Content-Security-Policy has it: of an element's whole text.
SOURCE = f"'sha256-{b2a_base64(hashlib.sha256(STYLE.encode()).digest(), newline=False).decode()}'"
