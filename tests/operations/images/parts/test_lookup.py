"""What is looked up by ID or name is what a statement that says all of it finds."""

from __future__ import annotations

import itertools

import pytest

from kiln.declare.shapes import fields_of
from kiln.declare.states import ImageStatus
from kiln.operations import CATALOGUE
from kiln.operations.images.parts import lookup
from tests.operations.images.gallery import a_disk_of, an_image
from tests.stock import a_snapshot, an_instance

#: Has no effect, and is nothing that a lookup knows: by it the same is found by one statement.
SLOWLY = {"Filter.1.Key": "NetworkType", "Filter.1.Value": "vpc"}

IDS = ("{web}", "{old}", "{web},{old},{new}", "{new},{web},{web}", "m-none")
STATUSES = (None, "Available", "Creating,CreateFailed,Available", "Creating", "ALL")
BESIDE = (
    {},
    {"ImageOwnerAlias": "self"},
    {"ImageOwnerAlias": "marketplace"},
    {"ImageOwnerAlias": "self", "ShowExpired": "true", "PageSize": "50", "PageNumber": "1"},
    {"ImageName": "web"},
    {"ImageFamily": "webs", "ResourceGroupId": "rg-tests"},
    {"Usable": "false", "Status": "ALL"},
    {"OSType": "windows", "Architecture": "x86_64"},
    {"OSType": "linux", "IsPublic": "false", "ActionType": "CreateEcs"},
    {"IsSupportCloudinit": "false"},
    {"IsSupportIoOptimized": "true", "ImageOwnerId": "1"},
    {"PageSize": "1"},
    {"PageSize": "1", "PageNumber": "2"},
    {"PageSize": "2", "PageNumber": "9"},
)


def describe():
    (found,) = (operation for key, operation in CATALOGUE.items() if key.action == "DescribeImages")
    return found


@pytest.fixture
def gallery(cloud):
    """Three images that differ in what a lookup narrows by, by what they are called here."""
    snapshot = a_snapshot(cloud)
    disks = (a_disk_of(None, snapshot.id), a_disk_of(None, "", 1, size_gib=50))
    more = {"name": "web", "family": "webs", "resource_group": "rg-tests"}
    web = an_image(cloud, disks=disks, tagged={"b": "1", "a": "2"}, **more)
    an_instance(cloud, image=web.id)
    old = an_image(cloud, name="old", status=ImageStatus.DEPRECATED)
    new = an_image(cloud, name="new", status=ImageStatus.CREATING, progress=5)
    an_image(cloud, name="not asked for")
    return {"web": web.id, "old": old.id, "new": new.id}


@pytest.mark.parametrize("named", [*({"ImageId": ids} for ids in IDS), {"ImageName": "web"}, {"ImageName": "Web"}])
def test_finds_what_a_statement_finds(cloud, gallery, named):
    for status, more in itertools.product(STATUSES, BESIDE):
        asked = {**named, **({"Status": status} if status else {}), **more}
        asked = {name: value.format(**gallery) for name, value in asked.items()}

        quick, slow = cloud.call("DescribeImages", asked), cloud.call("DescribeImages", {**asked, **SLOWLY})

        assert quick == slow, asked


@pytest.mark.parametrize("status", STATUSES)
def test_lists_all_of_some_statuses_as_a_statement_does(cloud, gallery, status):
    mixes = ({}, {"ImageOwnerAlias": "self"}, {"ImageOwnerAlias": "system"}, {"IsPublic": "false"})
    pages = ({}, {"PageSize": "1"}, {"PageSize": "2", "PageNumber": "2"}, {"PageSize": "2", "PageNumber": "9"})
    for more, page in itertools.product(mixes, pages):
        asked = {**({"Status": status} if status else {}), **more, **page}

        quick, slow = cloud.call("DescribeImages", asked), cloud.call("DescribeImages", {**asked, **SLOWLY})

        assert quick == slow, asked


def test_knows_nothing_that_is_no_parameter():
    assert {field.name for field in fields_of(describe().input)} >= lookup.NARROWED


def test_leaves_what_it_does_not_know_to_a_statement():
    plain = {"region_id": "r", "image_id": ("m-1",)}

    assert lookup.is_wanted(describe().input(**plain))
    for field in fields_of(describe().input):
        if field.name not in lookup.NARROWED:
            assert not lookup.is_wanted(describe().input(**plain, **{field.name: "x"})), field.name
