"""What pages bring with them: scripts, and the style of what others made, each named by its content too."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kiln.console.asking import ROOT, Answer
from kiln.ground.values import dataclass

FOLDER = Path(__file__).parent
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Vendored:
    """A file that others made: where it comes from, under which licence, and the SHA-256 of what they published."""

    name: str
    source: str
    licence: str
    sha256: str


VENDORED: tuple[Vendored, ...] = (
    Vendored(
        "htmx-2.0.11.min.js",
        "npm: htmx.org 2.0.11, dist/htmx.min.js",
        "0BSD",
        "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    ),
    Vendored(
        "xterm-5.5.0.min.js",
        "npm: @xterm/xterm 5.5.0, lib/xterm.js",
        "MIT",
        "1f991ac3b4b283ebf96e60ae23a00a52765dd3a2e46fa6fdda9f1aab032f7495",
    ),
    Vendored(
        "xterm-5.5.0.css",
        "npm: @xterm/xterm 5.5.0, css/xterm.css",
        "MIT",
        "ba8e6985669488981ccf40c0cefe3aba80722cb6c92de7ad628b0bd717faf2b6",
    ),
    Vendored(
        "xterm-addon-fit-0.10.0.min.js",
        "npm: @xterm/addon-fit 0.10.0, lib/addon-fit.js",
        "MIT",
        "bdaefa370b1bfc42ee88d46fe6072400902a4d4b2d45cd93438dda9b23c97089",
    ),
)

#: Scripts that a page asks for as one.
_BUNDLES = {"console.js": ("htmx-2.0.11.min.js", "copy.js", "changes.js", "files.js")}


class Static:
    """The files, read once."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self._urls: dict[str, str] = {}
        found = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in _KINDS}
        found |= {name: b"\n".join(found[part] for part in parts) for name, parts in _BUNDLES.items()}
        for name, content in found.items():
            named = f"{hashlib.sha256(content).hexdigest()[:12]}/{name}"
            self._answers[named] = Answer(body=content, kind=_KINDS[Path(name).suffix], is_kept=True)
            self._urls[name] = f"{ROOT}/static/{named}"

    def url(self, name: str) -> str:
        """Where a browser finds *name*. Raises KeyError."""
        return self._urls[name]

    def find(self, named: str) -> Answer | None:
        """The file of that name, hash first."""
        return self._answers.get(named)
