"""Objects in the order of their names, page by page, and what stands for those that a delimiter gathers."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln.buckets.folder import FolderBuckets
from kiln.buckets.port import BucketMissing, is_object_name

NAMES = ["a", "a-b", "a.d/x", "b/c/d", "b/c0", "b/e", "b0", "ü/ö", "名"]


@pytest.fixture
def buckets(tmp_path):
    made = FolderBuckets(tmp_path / "buckets")
    made.make("images")
    for name in NAMES:
        path = tmp_path / "buckets" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"bytes")
    return made


def listed(buckets, **asked):
    """All pages of one object or prefix each, put together."""
    found, prefixes, after = [], [], asked.pop("after", "")
    while True:
        page = buckets.page("images", after=after, **asked)
        assert len(page.objects) + len(page.prefixes) <= asked.get("most", 100)
        found += [one.name for one in page.objects]
        prefixes += page.prefixes
        if not page.next:
            return found, prefixes
        after = page.next


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_gives_every_object_once_in_the_order_of_bytes(buckets, most):
    assert listed(buckets, most=most) == (sorted(NAMES, key=str.encode), [])


@pytest.mark.parametrize("most", [1, 2, 100])
@pytest.mark.parametrize(
    ("asked", "objects", "prefixes"),
    [
        ({"delimiter": "/"}, ["a", "a-b", "b0", "名"], ["a.d/", "b/", "ü/"]),
        ({"delimiter": "/", "prefix": "b/"}, ["b/c0", "b/e"], ["b/c/"]),
        ({"delimiter": "/", "prefix": "b"}, ["b0"], ["b/"]),
        ({"delimiter": "/c"}, [n for n in sorted(NAMES) if not n.startswith("b/c")], ["b/c"]),
        ({"prefix": "b/c"}, ["b/c/d", "b/c0"], []),
        ({"prefix": "nothing"}, [], []),
        ({"after": "b/c/d"}, ["b/c0", "b/e", "b0", "ü/ö", "名"], []),
        ({"after": "b/", "delimiter": "/"}, ["b0", "名"], ["ü/"]),
        ({"after": "b/c/zzz", "prefix": "b/"}, ["b/c0", "b/e"], []),
    ],
)
def test_gathers_what_goes_on_alike_behind_the_delimiter(buckets, most, asked, objects, prefixes):
    assert listed(buckets, most=most, **asked) == (objects, prefixes)


def test_shows_no_link_no_half_object_nothing_that_no_object_can_be_named_and_no_empty_folder(buckets, tmp_path):
    folder = tmp_path / "buckets" / "images"
    (folder / "link").symlink_to(folder / "a")
    (folder / "linked").symlink_to(folder / "b")
    (folder / ".tmp-half").write_bytes(b"x")
    (folder / "a\nb").write_bytes(b"x")
    (folder / os.fsdecode(b"\xff")).write_bytes(b"x")
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")

    assert listed(buckets, delimiter="/") == (["a", "a-b", "b0", "名"], ["a.d/", "b/", "ü/"])


def test_shows_what_stays_while_others_are_deleted(buckets, tmp_path):
    folder = tmp_path / "buckets" / "images"
    passing = [folder / above / f"z{n:04}" for above in ("", "b") for n in range(1000)]
    for path in passing:
        path.touch()
    seen = []

    with ThreadPoolExecutor(1) as deleting:
        done = deleting.submit(lambda: [path.unlink() for path in passing])
        while not done.done():
            seen.append([name for name in listed(buckets, most=3000)[0] if name in NAMES])
    done.result()

    assert seen == [sorted(NAMES, key=str.encode)] * len(seen)


def test_lists_no_bucket_that_is_not_there(buckets):
    with pytest.raises(BucketMissing):
        buckets.page("other")


@pytest.mark.parametrize("name", ["a", "a/b", "..a", "a\\b", ".hidden", "名" * 341])
def test_names_of_objects(name):
    assert is_object_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "\\a",
        "a//b",
        "a/",
        "../a",
        "a/../b",
        "a/.",
        "a\0",
        "a\n",
        ".tmp-1",
        "a/.tmp-1/b",
        "名" * 342,
        "\udcff",
    ],
)
def test_names_that_no_object_can_have(name):
    assert not is_object_name(name)
