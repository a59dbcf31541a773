"""The page that Kiln is built from, row by row.

``create-image.seed.txt`` is the documentation of CreateImage on the Apsara
route, as it was found. Its own table is parsed here; a row that is not
declared as it says fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from kiln.declare.errors import ApiError
from kiln.declare.operation import ClientTokenInput
from kiln.declare.shapes import Field, fields_of
from kiln.operations.images.create_image import Input, create_image
from kiln.operations.params import ARCHITECTURES, DEFAULT_ARCHITECTURE, DEFAULT_PLATFORM, PLATFORMS
from kiln.wire.decode import decode
from kiln.wire.doors.route import RouteInput
from tests.stock import a_snapshot

SEED = (Path(__file__).parent / "create-image.seed.txt").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Row:
    name: str
    location: str
    type: str
    is_required: bool
    sample: str
    description: str


def table(after: str) -> list[list[str]]:
    """The cells of the table that follows a heading, without its head."""
    lines = SEED.split(after, 1)[1].splitlines()[1:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return rows[2:]


ROWS = {
    name: Row(name, location, kind, required == "Yes", sample, description)
    for name, location, kind, required, sample, description in table("Request Parameters Common Parameters")
}


def declared(name: str) -> tuple[Field, bool]:
    """The field that a name of the table is declared by, and whether the name is an alias of it."""
    if name in ("regionId", "version"):
        return next(f for f in fields_of(RouteInput) if f.wire == name), False
    head, _, part = name.partition(".N.")
    field = next(f for f in create_image.parameters if f.wire == head)
    if not part:
        return field, False
    assert field.repeated
    inner = next(f for f in fields_of(field.kind) if part in (f.wire, *f.aliases))
    return inner, part != inner.wire


def given(name: str, value: str) -> dict[str, str]:
    """The parameters of a request that has this one and no more than it needs."""
    params = {"RegionId": "cn-qingdao-env17-d01", name.replace(".N.", ".1."): value}
    if name.lower() == "tag.n.value":
        params["Tag.1.Key"] = "k"
    return params


def accepts(name: str, value: str) -> bool:
    shape = RouteInput if name in ("regionId", "version") else ClientTokenInput if name == "ClientToken" else Input
    params = given(name, value) | {"regionId": value if name == "regionId" else "r"}
    try:
        decode(shape, params)
    except ApiError:
        return False
    return True


def test_the_table_is_there():
    assert len(ROWS) == 19
    assert {row.location for row in ROWS.values()} == {"BODY"}


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_declared_with_its_type(name):
    field, _ = declared(name)

    assert field.kind is {"string": str, "integer": int}[ROWS[name].type]
    assert field.doc


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_required_or_not(name):
    field, _ = declared(name)

    assert field.required == ROWS[name].is_required


@pytest.mark.parametrize(
    "name", [n for n, row in ROWS.items() if row.sample not in ("null", "") and " " not in row.sample]
)
def test_every_sample_is_accepted(name):
    assert accepts(name, ROWS[name].sample.replace("****", "abcd"))


def test_tags_have_two_spellings():
    assert {name for name in ROWS if declared(name)[1]} == {"Tag.N.key", "Tag.N.value"}


@pytest.mark.parametrize(("name", "text"), [("Description", "2 to 256"), ("ImageName", "2~128")])
def test_lengths_are_those_of_the_text(name, text):
    least, most = (int(n) for n in re.split(r"\D+", text))

    assert text in ROWS[name].description
    assert [accepts(name, "x" * n) for n in (least - 1, least, most, most + 1)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("name", "text", "most"),
    [
        ("ClientToken", "cannot exceed 64 characters", 64),
        ("Tag.N.Key", "up to 128 characters", 128),
        ("Tag.N.Value", "up to 128 characters", 128),
    ],
)
def test_greatest_lengths_are_those_of_the_text(name, text, most):
    assert text in ROWS[name].description
    assert [accepts(name, "x" * n) for n in (1, most, most + 1)] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("Description", "cannot start with http:// or https", ("http://ab", "https://ab")),
        ("ImageName", "cannot start with http:// or https", ("http://ab", "https://ab")),
        ("ImageName", "must start with a letter or Chinese", ("1ab", "_ab", "-ab", ":ab")),
        ("Tag.N.Key", "an empty string is not allowed", ("",)),
        ("Tag.N.Key", "cannot start with aliyun or acs:", ("aliyun", "acs:x")),
        ("Tag.N.Key", "cannot contain http:// or https://", ("ahttp://b", "ahttps://b")),
        ("Tag.N.Value", "cannot start with acs:", ("acs:x",)),
        ("Tag.N.Value", "cannot contain http:// or https://", ("ahttp://b", "ahttps://b")),
        ("ClientToken", "only supports ASCII characters", ("é", "中")),
    ],
)
def test_what_the_text_forbids_is_refused(name, text, values):
    assert text in ROWS[name].description
    assert not any(accepts(name, value) for value in values)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("ImageName", "numbers, colons (:), underscores (_), or hyphens (-)", ("a1:_-", "镜像1")),
        ("Tag.N.Value", "an empty string is allowed", ("",)),
    ],
)
def test_what_the_text_allows_is_accepted(name, text, values):
    assert text in ROWS[name].description
    assert all(accepts(name, value) for value in values)


@pytest.mark.parametrize("name", ["Tag.N.Key", "Tag.N.Value"])
def test_there_are_1_to_20_tags(name):
    assert "1~20" in ROWS[name].description
    tags = {f"Tag.{n}.Key": f"k{n}" for n in range(1, 21)} | {f"Tag.{n}.Value": "v" for n in range(1, 21)}

    assert len(decode(Input, {"RegionId": "r", **tags}).tag) == 20
    with pytest.raises(ApiError):
        decode(Input, {"RegionId": "r", **tags, "Tag.21.Key": "k21"})


def values_in(name: str) -> str:
    return ROWS[name].description.split("Value range:", 1)[1].replace(" (default)", "").strip()


def test_every_platform_of_the_text_is_accepted():
    """The text's list has no separators: the platforms that we know are taken off it until nothing is left."""
    left = values_in("Platform")
    seen = []
    while left:
        platform = max((p for p in PLATFORMS if left.startswith(p)), key=len)
        seen.append(platform)
        left = left[len(platform) :].strip()

    assert len(seen) == 12
    assert all(accepts("Platform", p) for p in seen)
    assert not accepts("Platform", "centos")
    assert f"{DEFAULT_PLATFORM} (default)" in ROWS["Platform"].description


def test_every_architecture_of_the_text_is_accepted():
    listed = values_in("Architecture").split()

    assert set(listed) <= set(ARCHITECTURES)
    assert all(accepts("Architecture", a) for a in listed)
    assert f"{DEFAULT_ARCHITECTURE} (default)" in ROWS["Architecture"].description


def test_disk_types_are_system_and_data():
    assert "system: system disk data: data disk" in ROWS["DiskDeviceMapping.N.DiskType"].description
    assert [accepts("DiskDeviceMapping.N.DiskType", v) for v in ("system", "data", "swap")] == [True, True, False]


def mapped(cloud, **fields):
    """Whether an image of a system disk and one more disk with these fields is created, by DryRun."""
    system = a_snapshot(cloud).id
    params = {"DiskDeviceMapping.1.SnapshotId": system, "DryRun": True}
    params |= {f"DiskDeviceMapping.2.{name}": value for name, value in fields.items()}
    with pytest.raises(ApiError) as answer:
        cloud.call("CreateImage", params)
    return answer.value.code == "DryRunOperation"


def test_device_names_are_those_of_the_text(cloud):
    text = ROWS["DiskDeviceMapping.N.Device"].description
    assert "/dev/vda ~/dev/vdz" in text
    assert "/dev/xvda ~/dev/xvdz" in text

    assert all(mapped(cloud, Device=d) for d in ("/dev/vdb", "/dev/vdz", "/dev/xvdb", "/dev/xvdz"))
    assert not any(mapped(cloud, Device=d) for d in ("/dev/sdb", "/dev/vd1", "/dev/vdaa", "vdb"))


def test_sizes_of_blank_disks_are_those_of_the_text(cloud):
    text = ROWS["DiskDeviceMapping.N.Size"].description
    ordinary = re.search(r"ordinary cloud disk: (\d+)~(\d+)GiB", text)
    other = re.search(r"other cloud disks: (\d+)~(\d+)GiB", text)

    for device, found in (("/dev/xvdb", ordinary), ("/dev/vdb", other)):
        least, most = int(found[1]), int(found[2])
        sizes = (least - 1, least, most, most + 1)
        assert [mapped(cloud, Device=device, Size=size) for size in sizes] == [False, True, True, False]


def test_a_snapshots_disk_is_at_least_as_large_as_the_snapshot(cloud):
    assert "greater than or equal to the size of the SnapshotId" in ROWS["DiskDeviceMapping.N.Size"].description
    data = a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=40).id

    assert [mapped(cloud, SnapshotId=data, Size=size) for size in (39, 40, 41)] == [False, True, True]
