from __future__ import annotations

import pytest

from kiln.cli.exits import Refusal
from kiln.cli.naming import is_id, to_id
from kiln.declare.ids import new_id
from kiln.declare.letters import compose


@pytest.mark.parametrize("noun", ["image", "instance", "disk", "snapshot", "task"])
def test_knows_a_whole_id_by_its_form(noun):
    assert is_id(noun, new_id(noun))
    assert not is_id(noun, new_id(noun)[:-1])
    assert not is_id(noun, new_id("resource_group"))


class Listing:
    """A client of disks, one of which is called like the beginning of an ID, and one by a letter with an accent."""

    region = "cn-hangzhou"
    DISKS = (
        {"DiskId": "d-bp131n0q38u3a4zi9p2k", "DiskName": "d-web"},
        {"DiskId": "d-bp1aqlqqnd83xtkdmfjz", "DiskName": "\u00c4rzte-x"},
    )

    def rows(self, action, params=None, /, **more):
        if action == "DescribeRegions":
            return iter(())
        name = {**(params or {}), **more}.get("DiskName")
        name = name and compose(name)  # As the service reads it.
        return iter([disk for disk in self.DISKS if name in (None, disk["DiskName"])])


def test_a_name_counts_only_where_the_noun_was_told():
    assert to_id(Listing(), "disk", "d-web") == "d-bp131n0q38u3a4zi9p2k"

    with pytest.raises(Refusal, match="no disk 'd-web'"):
        to_id(Listing(), "disk", "d-web", by_name=False)

    assert to_id(Listing(), "disk", "d-bp13", by_name=False) == "d-bp131n0q38u3a4zi9p2k"


@pytest.mark.parametrize("spelled", ["\u00c4rzte-x", "A\u0308rzte-x"])
def test_finds_a_name_however_its_letters_are_put_together(spelled):
    assert to_id(Listing(), "disk", spelled) == "d-bp1aqlqqnd83xtkdmfjz"


class Shared:
    """A client of images: two of one name, of which another account shares one, and one that is shared alone."""

    IMAGES = (
        {"ImageId": "m-bp131n0q38u3a4zi9p2k", "ImageName": "web", "ImageOwnerAlias": "others"},
        {"ImageId": "m-bp1aqlqqnd83xtkdmfjz", "ImageName": "web", "ImageOwnerAlias": "self"},
        {"ImageId": "m-bp1hd5vy3g7ko4j1ks9z", "ImageName": "base", "ImageOwnerAlias": "others"},
    )

    def rows(self, action, params=None, /, **more):
        given = {**(params or {}), **more}
        asked = {name: given[name] for name in ("ImageName", "ImageOwnerAlias") if name in given}
        return iter([image for image in self.IMAGES if asked.items() <= image.items()])


def test_nobody_who_shares_an_image_takes_a_name_away():
    assert to_id(Shared(), "image", "web") == "m-bp1aqlqqnd83xtkdmfjz"
    assert to_id(Shared(), "image", "m-bp1") == "m-bp1aqlqqnd83xtkdmfjz"
    assert to_id(Shared(), "image", "base") == "m-bp1hd5vy3g7ko4j1ks9z"
    assert to_id(Shared(), "image", "m-bp13") == "m-bp131n0q38u3a4zi9p2k"


def test_names_the_region_in_which_there_is_nothing_of_that_name(monkeypatch):
    for of_the_shell, said in (("cn-hangzhou", "`kiln disk list` shows"), ("", "list --region cn-hangzhou` shows")):
        monkeypatch.setenv("KILN_REGION", of_the_shell)
        with pytest.raises(Refusal) as refused:
            to_id(Listing(), "disk", "nothing")
        assert said in refused.value.hint


def test_tells_what_is_alike_however_its_letters_are_put_together():
    with pytest.raises(Refusal) as refused:
        to_id(Listing(), "disk", "a\u0308RZTE")

    assert "\u00c4rzte-x (d-bp1aqlqqnd83xtkdmfjz)" in refused.value.hint
