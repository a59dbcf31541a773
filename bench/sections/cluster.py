"""Kiln over engines of a large installation, each against what the engine itself takes in the same run.

Both engines are started for it, on this host: a PostgreSQL whose commits are on
the disk, and a Ceph of one node that keeps its bytes in memory. So nothing here
says how fast a cluster is; what Kiln adds to it the ratios say.
"""

from __future__ import annotations

from bench import postgresql
from bench.sections import disks_on_ceph, doors
from bench.sections.section import Bench
from kiln.service.engines.ceph import started_ceph
from kiln.service.engines.postgresql import started_postgresql
from kiln.service.engines.programs import EngineAbsent


def run(it: Bench) -> None:
    """Disks on Ceph first, and then several processes that share a database."""
    try:
        with started_postgresql(postgresql.SETTINGS) as server:
            with started_ceph() as ceph, postgresql.a_database(server.address) as address:
                disks_on_ceph.run(it, ceph, address)
            doors.run(it, server.address)
    except EngineAbsent as error:
        it.report.say(f"  left out, {error}")
