"""ModifyDiskAttribute, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.disks import disks
from tests.clouds import OTHER
from tests.reading import the
from tests.stock import a_disk


def changed(cloud, disk, params=None, /, **more):
    before = the(cloud, disks, id=disk.id)
    given = {**(params or {}), **more}
    assert cloud.call("ModifyDiskAttribute", {"DiskId": disk.id, **given}) == {}
    after = the(cloud, disks, id=disk.id)
    return {name: value for name, value in vars(after).items() if vars(before)[name] != value}


class TestChanges:
    def test_what_is_sent_and_nothing_else(self, cloud):
        disk = a_disk(cloud, name="old", description="old one")

        assert changed(cloud, disk, DiskName="new") == {"name": "new"}
        assert changed(cloud, disk, Description="new one") == {"description": "new one"}
        assert changed(cloud, disk, Description="") == {"description": ""}
        assert changed(cloud, disk, DeleteWithInstance=False) == {"delete_with_instance": False}
        assert changed(cloud, disk, DeleteAutoSnapshot=True) == {"drops_auto_snapshots": True}
        assert changed(cloud, disk, EnableAutoSnapshot=False) == {"ignores_policy": True}
        assert changed(cloud, disk, EnableAutoSnapshot=True) == {"ignores_policy": False}
        assert changed(cloud, disk, BurstingEnabled=True)["asked"].bursting_enabled
        (shown,) = cloud.call("DescribeDisks")["Disks"]["Disk"]
        assert (shown["DiskName"], shown["DeleteWithInstance"], shown["BurstingEnabled"]) == ("new", False, True)

    def test_several_disks_at_once(self, cloud):
        some = [a_disk(cloud).id for _ in range(3)]
        ids = {f"DiskIds.{n}": one for n, one in enumerate([some[0], some[1], some[0]], 1)}

        cloud.call("ModifyDiskAttribute", ids, DiskName="new")

        assert [the(cloud, disks, id=one).name for one in some] == ["new", "new", ""]


class TestRefuses:
    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({}, "NoAttributeToModify", 400),
            ({"DiskName": ""}, "NoAttributeToModify", 400),
            ({"DiskName": "1"}, "InvalidDiskName.Malformed", 400),
            ({"Description": "http://x"}, "InvalidDescription.Malformed", 404),
            ({"DiskName": "new", "DiskIds.1": "d-1"}, "ParameterConflict.DiskIdAndDiskIds", 400),
            ({"DiskName": "new", "DiskId": None}, "MissingParameter.DiskIdOrDiskIds", 400),
            ({"DiskName": "new", "DiskId": None, "DiskIds": "[]"}, "MissingParameter.DiskIdOrDiskIds", 400),
            ({"DiskName": "new", "DiskId": "d-unknown"}, "InvalidDiskId.NotFound", 404),
            ({"DiskName": "new", "RegionId": "nowhere"}, "InvalidRegionId.MalFormed", 400),
        ],
    )
    def test_what_is_not_right(self, cloud, params, code, status):
        cloud.refuses("ModifyDiskAttribute", code, status, {"DiskId": a_disk(cloud).id, **params})

    def test_all_when_one_is_not_there(self, cloud):
        given = {"DiskIds.1": a_disk(cloud).id, "DiskIds.2": "d-unknown"}

        cloud.refuses("ModifyDiskAttribute", "InvalidDiskId.NotFound", 404, given, DiskName="new")

    def test_another_accounts_disk(self, cloud):
        mine = a_disk(cloud).id

        cloud.refuses("ModifyDiskAttribute", "InvalidDiskId.NotFound", 404, DiskId=mine, DiskName="new", account=OTHER)

    def test_that_a_disk_outlives_its_instance_which_cannot_be_detached(self, cloud):
        disk = a_disk(cloud, portable=False).id

        cloud.refuses("ModifyDiskAttribute", "DiskNotPortable", 403, DiskId=disk, DeleteWithInstance=False)
