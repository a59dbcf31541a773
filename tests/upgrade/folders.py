"""The data folders that older versions left: see ``tools/keep_data_folder.py``, which makes them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

KEPT = Path(__file__).parent / "folders"
VERSIONS = sorted(path.name.partition(".")[0] for path in KEPT.glob("*.tar.xz"))


def unpack(version: str, folder: Path) -> dict[str, Any]:
    """Have *folder* be as that version left it; what must stay as it is."""
    with tarfile.open(KEPT / f"{version}.tar.xz") as packed:
        packed.extractall(folder, filter="fully_trusted")
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    (folder / "expected.json").unlink()
    return expected
