"""A served Kiln whose data folder is on a full disk: it starts, reads and deletes, and says of the rest that it cannot.

unshare [--map-root-user] --mount python -m tests.full.started FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from kiln.client.client import ApiFailure, Client
from kiln.client.reasons import reasons
from kiln.ground.units import KiB, MiB
from kiln.testing import Served, start_kiln
from kiln.upkeep.abandoned import ABANDONED
from kiln.upkeep.fsck import fsck
from tests.full.scenarios import fill, mount
from tests.kill.kilns import open_kiln

_PATIENCE_S = 300.0


def main(folder: Path) -> None:
    data = folder / "data"
    mount(data, 48)
    _give_objects(data)
    with (
        start_kiln(data) as kiln,
        closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client,
    ):
        kept, gone = (_import(client) for _ in range(2))
        assert _ballast(data) == 1 * MiB
        run = client.call("RunInstances", ImageId=gone, InstanceType="ecs.t5-lc1m1.small")
        (instance,) = run["InstanceIdSets"]["InstanceIdSet"]
        _wait(lambda: _status(client, instance) == "Running")
        _leave_a_lease(kiln, client)

        # After a kill there is nothing that must be written for a start.
        filler = fill(data)
        kiln.start()
        assert _images(client) == {kept, gone}
        status, facts = _health(kiln)
        assert (status, facts["status"]) == (503, "failing")
        assert "is full" in facts["reason"]
        assert "database_full" in kiln.log.read_text()
        assert _ballast(data) == 1 * MiB

        # What takes room is refused, and leaves the ballast for what gives room back.
        assert "ServiceUnavailable" in [_tag(client, kept, n) for n in range(64)]
        assert _ballast(data) == 1 * MiB
        client.call("DeleteImage", ImageId=gone, Force="true")
        assert _ballast(data) == 0
        assert _images(client) == {kept}

        # The room that it gave up is not for what takes room, also after a start; for another deletion it is.
        assert {_tag(client, kept, n) for n in range(64)} == {"ServiceUnavailable"}
        kiln.kill9()
        kiln.start()
        assert _ballast(data) == 0
        assert _tag(client, kept, 0) == "ServiceUnavailable"
        _expect_an_import_to_wait(client)
        client.call("StopInstance", InstanceId=instance)
        _wait(lambda: _status(client, instance) == "Stopped")
        client.call("DeleteInstance", InstanceId=instance)
        assert [_tag(client, gone, 0), _tag(client, "m-none", 0)] == ["InvalidResourceId.NotFound"] * 2
        client.call("DeleteImage", ImageId=kept)
        assert _images(client) == set()

        # The import that the kill left has waited. With room it is there again, and it comes to its end. A clean stop
        # removes what SQLite needs to read; a start gives the room for it.
        filler.unlink()
        _wait(lambda: len(_images(client)) == 1)
        kept = _import(client)
        assert _ballast(data) == 1 * MiB
        kiln.restart()
        _wait(lambda: _health(kiln)[0] == 200)
        kiln.stop()
        filler = fill(data)
        kiln.start()
        assert _ballast(data) == 0
        assert kept in _images(client)
        filler.unlink()
        kiln.stop()
    with open_kiln(data) as cloud:
        assert [
            f for f in fsck(cloud.ports, repair=False, say=lambda _: None) if f.sort == "broken" or ABANDONED in f.text
        ] == []


def _give_objects(data: Path) -> None:
    bucket = data / "buckets" / "images"
    bucket.mkdir(parents=True)
    (bucket / "disk.raw").write_bytes(os.urandom(256 * KiB))


def _import(client: Client) -> str:
    image = str(_ask_to_import(client)["ImageId"])
    _wait(lambda: image in _images(client))
    return image


def _ask_to_import(client: Client) -> dict[str, Any]:
    mapping = {"DiskDeviceMapping.1.OSSBucket": "images", "DiskDeviceMapping.1.OSSObject": "disk.raw"}
    return client.call("ImportImage", mapping)


def _leave_a_lease(kiln: Served, client: Client) -> None:
    """Have Kiln be killed with a task in its hands."""
    kiln.settings["kill_at"] = "intake.inspected"
    kiln.restart()
    _ask_to_import(client)
    assert kiln.process is not None
    assert kiln.process.wait(_PATIENCE_S) == 137
    del kiln.settings["kill_at"]


def _expect_an_import_to_wait(client: Client) -> None:
    (left,) = client.rows("DescribeTasks", TaskStatus="Processing")
    assert left["TaskStatus"] == "Waiting"
    (why,) = reasons(client, left["TaskId"])["Reasons"]["Reason"]
    assert why["State"] == "Waiting"
    assert "The disk is full" in why["Message"]


def _images(client: Client) -> set[str]:
    return {str(row["ImageId"]) for row in client.rows("DescribeImages", Status="Available")}


def _status(client: Client, instance: str) -> str:
    return str(next(client.rows("DescribeInstances", InstanceIds=json.dumps([instance])), {}).get("Status"))


def _tag(client: Client, image: str, n: int) -> str:
    """The error's code, or nothing."""
    tag = {"Tag.1.Key": f"key-{n}", "Tag.1.Value": "x" * 120}
    try:
        client.call("AddTags", tag, ResourceType="image", ResourceId=image)
    except ApiFailure as failure:
        return failure.code
    return ""


def _health(kiln: Served) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{kiln.endpoint}/readyz", timeout=300) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _ballast(data: Path) -> int:
    """The bytes that it takes."""
    return (data / "ballast").stat().st_blocks * 512


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
