"""A Kiln in a network of its own, where it may listen at port 443, and what one command did there.

    unshare [--map-root-user] --net python -m tests.acceptance.own_network FOLDER COMMAND...

The command is run in FOLDER, with ``kiln`` on its path. Printed are, as JSON, its exit code, what it said, and what is
in Kiln then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from kiln.client.client import Client
from kiln.testing import Served, start_kiln

REGION = "cn-hangzhou"


def main(folder: Path, command: list[str]) -> dict[str, Any]:
    """See the module."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    kiln = folder / "bin" / "kiln"
    kiln.parent.mkdir(exist_ok=True)
    kiln.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m kiln.cli.main "$@"\n')
    kiln.chmod(0o755)
    with start_kiln(folder / "data", tls="127.0.0.1:443") as served:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KILN_", "HTTP"))}
        own = {"KILN_DATA": str(served.data), "HOME": str(folder), "PACKER_CACHE_DIR": str(folder)}
        path = f"{kiln.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            command, cwd=folder, env=kept | own | {"PATH": path}, capture_output=True, text=True, check=False
        )
        return {"code": done.returncode, "said": done.stdout + done.stderr, **_there(served)}


def _there(served: Served) -> dict[str, Any]:
    with closing(Client(served.endpoint, served.access_key_id, served.secret, REGION)) as client:
        images = client.call("DescribeImages", Status="Creating,Available,CreateFailed")["Images"]["Image"]
    objects = sorted(path.name for path in served.buckets.glob("images/[!.]*"))
    return {"images": images, "buckets": [path.name for path in served.buckets.iterdir()], "objects": objects}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2:])))  # noqa: T201 - that is what it is for.
