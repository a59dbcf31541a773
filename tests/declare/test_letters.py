"""What counts as a letter, and what a name and a text may hold."""

from __future__ import annotations

import unicodedata

import pytest

from kiln.declare.letters import compose
from kiln.declare.rules import Declined, Name, Text
from kiln.operations import ALL
from tests.clouds import Cloud
from tests.samples import places
from tests.stock import a_disk, a_snapshot

IMAGE, OTHER = Name(), Name(any_script=True)

HAN = ["\u4e2d\u6587", "\u3007\u4e00", "\u4eba\u3005", "\U00020000\U0002a6df", "\U00030000x", "\U0002f800a", "\u3400b"]
LETTERS = ["\u041f\u0440\u0438\u0432\u0435\u0442-1",
           "\u00e9t\u00e9", "\u03a9mega", "\u05e9\u05dc\u05d5\u05dd", "\u3042\u3044", "\uac00\ub098", "\U0001e900a",
           "\u00df\u00df", "\u0131\u0130", "\u1e9e1"]  # fmt: skip
NAMES_OF_NOBODY = [
    "1a", "-a", ".a", "_a", ":a", "a b", "a/b", "a,b", "a\tb", "a\nb", "a\0b", "a\x1bb", "a\x7fb", "a\x85b",
    "a\u200bb", "a\u200db", "a\u200cb", "a\u2060b", "a\ufeffb", "a\u00adb", "a\u202eb", "a\u2066b", "a\u200fb",
    "a\ufe0fb",
    "a\u3164b", "\u115fab", "a\uffa0b", "a\u0301\u0302\u0303", "ab\u20dd", "\u0663\u0664a", "a\u0663", "a\uff11",
    "\U0001f600a", "a\U0001f600", "a\ud800b", "\udfffab", "a\ue000b", "a\ufffeb", "a\U000e0041b",
    "a\U000e0100b", "a\u2028b",
    "\u2160a", "a\u2f00b", "a\u4dc0b", "a\u3000b", "a", "", "a" * 129, "http://a", "HTTPS://a",
]  # fmt: skip


@pytest.mark.parametrize("name", ["ab", "Ab-1", "a1:_.-", *HAN, "a" * 128, "\U00020000" * 128])
def test_english_and_chinese_letters_are_letters_everywhere(name):
    assert IMAGE.allows(compose(name))
    assert OTHER.allows(compose(name))


@pytest.mark.parametrize("name", LETTERS)
def test_letters_of_other_scripts_are_letters_where_any_script_is_taken(name):
    assert OTHER.allows(name)
    assert not IMAGE.allows(name)


@pytest.mark.parametrize("name", NAMES_OF_NOBODY, ids=ascii)
def test_what_is_no_letter_or_does_not_show_is_in_no_name(name):
    assert not OTHER.allows(compose(name))
    assert not IMAGE.allows(compose(name))


def test_one_character_takes_one_place_whatever_it_takes_in_bytes():
    assert not OTHER.allows("\u0439")
    assert OTHER.allows("\u0439" * 128)
    assert not OTHER.allows("\u0439" * 129)


@pytest.mark.parametrize(
    "text",
    ["cr\u00e8me", "a\tb\r\nc", "\u05e9\u05dc\u200f 1", "\U0001f468\u200d\U0001f469", "\u0928\u093f", "<&>'\\\""],
)
def test_a_text_holds_what_can_be_shown(text):
    assert Text(0, 99).allows(text)


@pytest.mark.parametrize("c", ["\x00", "\x07", "\x08", "\x0b", "\x1b", "\x7f", "\x9b", "\u202a", "\u202e",
                               "\u2066", "\u2069", chr(0xD800), "\ufffe", "\uffff"], ids=ascii)  # fmt: skip
def test_a_text_holds_nothing_that_a_terminal_would_obey(c):
    assert not Text(0, 99).allows(f"a{c}b")


def test_every_parameter_that_names_are_compared_with_is_read_in_one_form():
    """Whatever is called a name, but for those of things that are not here."""
    elsewhere = {
        "RamRoleName",
        "RoleName",
        "DiskDeviceMapping.1.OSSBucket",
        "HostName",
        "LaunchTemplateName",
    }
    names = [
        place
        for operation in ALL
        for place in places(operation)
        if place.field.wire.endswith(
            ("ImageName", "ImageFamily", "SnapshotName", "DiskName", "InstanceName", "KeyPairName")
        )
        and place.field.wire not in elsewhere
        and not place.field.accepted
        and not any(isinstance(rule, Declined) for rule in place.field.rules)
    ]

    assert len(names) > 10
    assert [str(place) for place in names if not place.field.is_composed] == []


def test_a_name_is_the_same_however_it_is_put_together(cloud: Cloud):
    apart, together = unicodedata.normalize("NFD", "\u0419\u043e\u0434-\u00e91"), "\u0419\u043e\u0434-\u00e91"
    assert apart != together
    disk = a_disk(cloud)

    cloud.call("CreateSnapshot", DiskId=disk.id, SnapshotName=apart)

    for asked in (apart, together):
        (found,) = cloud.call("DescribeSnapshots", SnapshotName=asked)["Snapshots"]["Snapshot"]
        assert found["SnapshotName"] == together


def test_two_images_cannot_have_a_name_that_looks_the_same(cloud: Cloud):
    snapshot = a_snapshot(cloud).id
    cloud.call("CreateImage", SnapshotId=snapshot, ImageName="\u8c48-1")

    cloud.refuses("CreateImage", "InvalidImageName.Duplicated", 400, SnapshotId=snapshot, ImageName="\uf900-1")


@pytest.mark.parametrize("name", ["\u041f\u0440\u0438\u0432\u0435\u0442-1", "\u3007\U00020000-1"])
def test_snapshots_disks_and_instances_take_letters_of_any_script(cloud: Cloud, name):
    zone = cloud.call("DescribeZones")["Zones"]["Zone"][0]["ZoneId"]
    made = cloud.call("CreateDisk", DiskName=name, Size=20, ZoneId=zone, DiskCategory="cloud_efficiency")
    cloud.call("CreateSnapshot", DiskId=a_disk(cloud).id, SnapshotName=name)

    (disk,) = cloud.call("DescribeDisks", DiskName=name)["Disks"]["Disk"]
    assert (disk["DiskId"], disk["DiskName"]) == (made["DiskId"], name)
    assert cloud.call("DescribeSnapshots", SnapshotName=name)["TotalCount"] == 1
