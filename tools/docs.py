"""Writes the pages that can be written from declarations: docs/reference/ and docs/internals/states.md.

With ``--check`` nothing is written; the exit code is 1 when a page is stale, missing or left over.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # Checks are run with -P, which leaves this folder out.

from kiln.cli import exits  # noqa: E402
from kiln.cli.main import every_command  # noqa: E402
from kiln.cli.words import env, serve  # noqa: E402
from kiln.client.catalogue import Catalogue  # noqa: E402
from kiln.declare import states  # noqa: E402
from kiln.declare.metrics import METRICS  # noqa: E402
from kiln.service.settings import described  # noqa: E402
from kiln.wire.app import PATHS  # noqa: E402
from kiln.wire.oss.errors import OssError  # noqa: E402
from kiln.wire.oss.operations import OPERATIONS  # noqa: E402
from tools import catalogue, pages  # noqa: E402

DOCS = ROOT / "docs"
SAMPLES = DOCS / "reference" / "samples.json"  #: Written by tools/samples.py.


def build() -> dict[Path, str]:
    """Every written page by its path below docs/."""
    known = Catalogue(catalogue.build())
    told = json.loads(SAMPLES.read_text())
    operations = Path("reference/operations")
    return {
        **{
            operations / pages.file_of(title): pages.operation(title, known.action(title), told[title])
            for title in known.names
        },
        operations / "index.md": pages.operations(known),
        Path("reference/errors.md"): pages.errors(known),
        Path("reference/settings.md"): pages.settings(described().values(), {*serve.FLAGS, *env.FLAGS}),
        Path("reference/cli.md"): pages.cli(dict(every_command()), exits.ALL),
        Path("reference/paths.md"): pages.paths(PATHS),
        Path("reference/metrics.md"): pages.metrics(METRICS),
        Path("reference/oss.md"): pages.oss(OPERATIONS, OssError.__subclasses__()),
        Path("internals/states.md"): pages.states(states),
    }


def _stale(written: dict[Path, str]) -> list[str]:
    faults = [f"docs/{path} is stale" for path, text in written.items() if _read(DOCS / path) != text]
    there = (path.relative_to(DOCS) for path in (DOCS / "reference").rglob("*.md"))
    return faults + [f"docs/{path} is left over" for path in sorted(there) if path not in written]


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def main(arguments: list[str]) -> int:
    """Write the pages, or check that they are as they would be written; return the exit code."""
    written = build()
    faults = _stale(written)
    if arguments == ["--check"]:
        for fault in faults:
            print(fault)
        if faults:
            print("run tools/docs.py")
        return 1 if faults else 0
    for path, text in written.items():
        (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / path).write_text(text)
    for path in (DOCS / "reference").rglob("*.md"):
        if path.relative_to(DOCS) not in written:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
