"""``kiln status``: what runs, what waits, and what takes space."""

from __future__ import annotations

import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kiln.cli import output
from kiln.cli.grammar import Data, Json, Region, example, group
from kiln.cli.naming import NAMED, rows
from kiln.cli.output import Column
from kiln.cli.session import find_data_folder, find_shared_folder, open_client
from kiln.client.client import Client
from kiln.client.waiters import NOUNS
from kiln.declare.states import BROKEN, RESTING
from kiln.ground.units import GiB, KiB, MiB
from kiln.service.datafolder import DataFolder

app = group()

_LISTED = ("instance", "image", "snapshot", "disk")

_COUNTS = (Column("WHAT", "What"), Column("STATUS", "Status"), Column("COUNT", "Count"), Column("GIB", "GiB"))
_WAITS = (
    Column("WHAT", "What"),
    Column("ID", "Id"),
    Column("NAME", "Name", is_prose=True),
    Column("STATUS", "Status"),
    Column("DONE", "Done"),
)
_SPACE = (Column("WHERE", "Where", is_prose=True), Column("TAKEN", "Taken"), Column("FREE", "Free"))


@app.command("status", epilog=example("kiln status", "kiln status --json"))
def run(*, data: Data = None, region: Region = None, as_json: Json = False) -> None:
    """Show what runs, waits or has failed, and what takes space.

    All but space is that of one region. Space is that of a Kiln on this machine, whose
    data folder KILN_DATA or --data names.
    """
    with open_client(region) as client:
        found = {"Region": client.region, **_found(client)}
    found["Space"] = list(_space(find_data_folder(data), find_shared_folder(data)))
    if as_json:
        output.show_json(found)
        return
    output.show_line(f"In the region {found['Region']}; --region names another:")
    output.show_table(found["Resources"], _COUNTS)
    if found["Waiting"]:
        output.show_line("")
        output.show_table(found["Waiting"], _WAITS)
    if found["Space"]:
        output.show_line("")
        sizes = [{**one, "Taken": _size(one["Taken"]), "Free": _size(one["Free"])} for one in found["Space"]]
        output.show_table(sizes, _SPACE)


def _found(client: Client) -> dict[str, Any]:
    """How many there are in which state, with what their disks promise, and each that is not at rest."""
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    waiting = []
    for noun in _LISTED:
        how = NOUNS[noun]
        for row in rows(client, noun):
            key = (noun, row[how.state])
            counts[key] += 1
            sizes[key] += int(row.get("Size") or row.get("SourceDiskSize") or 0)
            if row[how.state] not in RESTING or row[how.state] in BROKEN:
                waiting.append(_waits(noun, row, row[NAMED[noun].name], str(row.get(how.progress, ""))))
    for status in ("Processing", "Failed"):
        for row in client.rows("DescribeTasks", TaskStatus=status):
            waiting.append(_waits("task", row, row["TaskAction"], ""))  # noqa: PERF401 - the rows come page by page.
    resources = [
        {"What": noun, "Status": state, "Count": count, "GiB": sizes[noun, state] or None}
        for (noun, state), count in sorted(counts.items(), key=lambda it: (_LISTED.index(it[0][0]), it[0][1]))
    ]
    return {"Resources": resources, "Waiting": waiting}


def _waits(noun: str, row: dict[str, Any], name: str, done: str) -> dict[str, Any]:
    return {"What": noun, "Id": row[NAMED[noun].id], "Name": name, "Status": row[NOUNS[noun].state], "Done": done}


def _space(data: Path | None, shared: Path | None) -> Iterator[dict[str, Any]]:
    """The bytes that the folders of a Kiln on this machine take, and are free beside them."""
    if data is None or not DataFolder(data, shared).pool.is_dir():
        return
    folder = DataFolder(data, shared)
    for path in (folder.pool, folder.buckets, folder.path):
        yield {"Where": str(path), "Taken": _taken(path), "Free": shutil.disk_usage(path).free}


def _taken(folder: Path) -> int:
    """The bytes of blocks below a folder, each file's once; what may not be looked into is left out."""
    seen = set()
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                facts = os.lstat(Path(root, name))
            except OSError:
                continue  # It went between the two looks.
            if stat.S_ISREG(facts.st_mode) and (facts.st_dev, facts.st_ino) not in seen:
                seen.add((facts.st_dev, facts.st_ino))
                total += facts.st_blocks * 512
    return total


def _size(count: int) -> str:
    for unit, name in ((GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
