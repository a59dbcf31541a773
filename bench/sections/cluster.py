"""Kiln over engines of a large installation, each against what the engine itself takes in the same run.

Both engines are started for it, on this host: a PostgreSQL whose commits are on
the disk, and a Ceph of one node that keeps its bytes in memory. So nothing here
says how fast a cluster is; what Kiln adds to it the ratios say.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bench import postgresql
from bench.sections import disks_on_ceph, doors
from bench.sections.section import Bench
from tests.ceph import start_ceph
from tests.postgresql import server_made

_PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "rbd", "monmaptool", "ceph-authtool", "setpriv")


def run(it: Bench) -> None:
    """Disks on Ceph first, and then several processes that share a database."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        missing.append("initdb of PostgreSQL")
    if missing:
        it.report.say(f"  left out, there is no {', '.join(missing)} here")
        return
    with server_made(postgresql.SETTINGS) as server:
        server.start()
        with start_ceph() as ceph, postgresql.a_database(server.address) as address:
            disks_on_ceph.run(it, ceph, address)
        doors.run(it, server.address)
