"""``python -m kiln.guest build PATH --cache DIR``: make the small guest's disk, qcow2 when PATH ends so, else raw."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kiln.guest.errors import GuestUnbuildable
from kiln.guest.image import build


def main() -> int:
    """Run the command line; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kiln.guest", description="Kiln's small bootable guest.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    builder = verbs.add_parser("build", help="write the guest's disk to a file")
    builder.add_argument("path", type=Path, help="the file; *.qcow2 for qcow2, else raw")
    builder.add_argument("--cache", type=Path, required=True, help="where what was fetched is kept")
    asked = parser.parse_args()
    try:
        sys.stdout.write(f"{build(asked.cache.expanduser(), asked.path)}\n")
    except GuestUnbuildable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
