from __future__ import annotations

import contextlib
import json

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.client.client import Client
from tests.tools import needs
from tests.waiting import wait_for
from tests.warm import start_kiln


@pytest.fixture
def words(tmp_path):
    """The words of ``kiln trash``, on the folder of a served Kiln."""

    def run(*words: str):
        environment = {"KILN_DATA": str(tmp_path / "data"), "KILN_DATABASE": "", "KILN_GRACE": ""}
        return CliRunner(env=environment).invoke(app, ["trash", *words])

    return run


def import_one(client: Client, data) -> str:
    bucket = data / "buckets" / "images"
    bucket.mkdir(parents=True, exist_ok=True)
    (bucket / "disk.raw").write_bytes(b"\1" * 1024 * 1024)
    mapping = {"DiskDeviceMapping.1.OSSBucket": "images", "DiskDeviceMapping.1.OSSObject": "disk.raw"}
    image = str(client.call("ImportImage", mapping, ImageName="web")["ImageId"])
    wait_for(lambda: images(client) == [image])
    return image


def images(client: Client) -> list[str]:
    return [str(row["ImageId"]) for row in client.rows("DescribeImages", Status="Available")]


def delete(client: Client, image: str) -> None:
    client.call("DeleteImage", ImageId=image)
    for row in client.rows("DescribeSnapshots"):
        client.call("DeleteSnapshot", SnapshotId=row["SnapshotId"])


@pytest.mark.slow
def test_brings_an_image_back_beside_a_service_and_without_one(words, tmp_path):
    needs("qemu-img")
    data = tmp_path / "data"
    with (
        start_kiln(data) as kiln,
        contextlib.closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client,
    ):
        image = import_one(client, data)
        client.call("DeleteImage", ImageId=image)
        table = words("list").stdout
        assert "1 entry; in the trash are 0 volumes, 0 bytes" in table
        assert "its bytes are still those of something else" in table  # The snapshot's.
        assert words("restore", image).exit_code == 0
        delete(client, image)
        wait_for(lambda: any((data / "pool" / "trash").glob("*.qcow2")))
        assert images(client) == []
        listed = json.loads(words("list", "--json").stdout)
        assert [row["Noun"] for row in listed if row["Id"] == image] == ["image"]
        assert "2 entries; in the trash is 1 volume, " in words("list").stdout

        restored = words("restore", image)

        assert (restored.exit_code, restored.stdout) == (0, f"{image} is back\n"), restored.stderr
        assert images(client) == [image]
        delete(client, image)
        wait_for(lambda: any((data / "pool" / "trash").glob("*.qcow2")))
        kiln.stop()

        assert words("restore", image).exit_code == 0
        again = words("restore", image)
        assert again.exit_code == exits.REFUSED.number
        assert "is not deleted" in again.stderr
        kiln.start()
        assert images(client) == [image]
        delete(client, image)
        wait_for(lambda: any((data / "pool" / "trash").glob("*.qcow2")))

        emptied = words("empty")

        assert emptied.exit_code == 0, emptied.stderr
        assert "0 bytes are left" in emptied.stdout
        assert words("restore", image).exit_code == exits.REFUSED.number


def test_refuses_a_folder_that_no_kiln_has_run_in(words):
    assert words("list").exit_code == exits.FILE.number


def test_refuses_a_duration_that_is_none(words, tmp_path):
    (tmp_path / "data" / "pool").mkdir(parents=True)

    assert words("empty", "--older-than", "soon").exit_code == exits.SETTINGS.number


@pytest.mark.slow
def test_takes_names_and_beginnings_of_ids_and_of_several_says_which(words, tmp_path):
    needs("qemu-img")
    with (
        start_kiln(tmp_path / "data") as kiln,
        contextlib.closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client,
    ):
        place = {"ZoneId": f"{kiln.region}-a", "Size": "20", "DiskCategory": "cloud_essd"}
        first, second, other = (
            str(client.call("CreateDisk", place, DiskName=name)["DiskId"]) for name in ("data", "data", "logs")
        )
        wait_for(lambda: {row["Status"] for row in client.rows("DescribeDisks")} == {"Available"})
        for disk in (first, second, other):
            client.call("DeleteDisk", DiskId=disk)

        several = words("restore", "data")
        assert several.exit_code == exits.REFUSED.number
        assert first in several.stderr
        assert second in several.stderr
        assert "nothing was done" in several.stderr
        alone = next(n for n in range(3, 23) if not any(one.startswith(first[:n]) for one in (second, other)))
        begun = words("restore", first[:alone])
        assert begun.stdout == f"{first} is back\n", begun.stderr
        assert words("restore", "data").stdout == f"{second} is back\n"
        emptied = words("empty", "logs")
        assert emptied.exit_code == 0, emptied.stderr
        for nothing in ("logs", "d-", "lo", ""):
            refused = words("restore", nothing)
            assert refused.exit_code == exits.REFUSED.number
            assert f"beginning of an ID, {nothing!r}" in " ".join(refused.stderr.split())
        assert {row["DiskId"] for row in client.rows("DescribeDisks")} == {first, second}
