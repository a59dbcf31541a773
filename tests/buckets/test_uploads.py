"""Objects in parts: in whatever order and length those come, and whatever breaks off."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from kiln.buckets.drafts import PIECE
from kiln.buckets.facts import known
from kiln.buckets.folder import FolderBuckets
from kiln.buckets.port import (
    BucketFull,
    BucketNotEmpty,
    ObjectExists,
    ObjectRefused,
    PartRefused,
    UploadMissing,
)
from kiln.buckets.uploads import ABANDONED_S, LEAST_PART, Uploads
from kiln.ground.crc64 import crc64
from tests.pools.kills import killed_at, points_of

NOW = 1_795_000_000.0
NAME = "deep/disk.raw"
PARTS = [os.urandom(LEAST_PART), os.urandom(LEAST_PART), b"end"]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "buckets"


@pytest.fixture
def buckets(root):
    made = FolderBuckets(root)
    made.make("images")
    return made


@pytest.fixture
def uploads(buckets):
    return Uploads(buckets)


def begun(uploads, name=NAME, headers=()):
    return uploads.begin("images", name, dict(headers), NOW).id


def send(uploads, upload, number, content, *, is_told=True, name=NAME):
    draft = uploads.draft("images", name, upload, number, len(content) if is_told else None)
    try:
        draft.write(content)
        return draft.keep(NOW)
    finally:
        draft.drop()


def complete(uploads, upload, numbers=(1, 2, 3), **how):
    known_parts = {part.number: part.etag for part in uploads.parts("images", NAME, upload)}
    return uploads.complete("images", NAME, upload, [(n, known_parts[n]) for n in numbers], **how)


def hidden(root):
    return sorted(path for path in root.rglob("*") if path.parent.name == ".tmp-uploads")


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 1, 3), (1, 2, 1, 3, 2)])
def test_makes_the_object_of_parts_in_any_order_also_of_those_that_come_again(uploads, root, order, is_told):
    upload = begun(uploads, headers={"content-type": "x/y"})
    for number in order:
        send(uploads, upload, number, PARTS[number - 1], is_told=is_told)

    facts = complete(uploads, upload)

    content, path = b"".join(PARTS), root / "images" / NAME
    assert path.read_bytes() == content
    digests = b"".join(hashlib.md5(part).digest() for part in PARTS)
    assert facts.etag == f"{hashlib.md5(digests).hexdigest().upper()}-3"
    assert (facts.crc64, facts.headers, facts.kind) == (crc64(content), {"content-type": "x/y"}, "Multipart")
    assert known(str(path), path.stat()) == facts
    assert (hidden(root), uploads.all("images")) == ([], [])


@pytest.mark.parametrize(
    "parts",
    [
        {1: b"a" * LEAST_PART, 2: b"b" * (LEAST_PART + 7), 3: b"c" * LEAST_PART, 4: b"d"},
        {1: b"a" * (LEAST_PART + 7), 2: b"b" * LEAST_PART, 3: b"c" * (LEAST_PART + 7)},
        {2: b"b" * LEAST_PART, 7: b"g" * LEAST_PART, 10_000: b"z"},
        {5: b"only"},
        {1: bytes(LEAST_PART), 2: bytes(3)},
        {1: b""},
    ],
)
def test_makes_it_of_parts_of_any_lengths_and_numbers(uploads, root, parts):
    upload = begun(uploads)
    for number, content in parts.items():
        send(uploads, upload, number, content)

    facts = complete(uploads, upload, sorted(parts))

    content = b"".join(content for _, content in sorted(parts.items()))
    assert (root / "images" / NAME).read_bytes() == content
    assert facts.crc64 == crc64(content)


def test_the_usual_parts_are_not_copied(uploads, root):
    upload = begun(uploads)
    for number, content in enumerate(PARTS, 1):
        send(uploads, upload, number, content)
    written = (root / "images" / ".tmp-uploads" / upload / "data").stat()

    complete(uploads, upload)

    assert (root / "images" / NAME).stat().st_ino == written.st_ino
    assert (root / "images" / NAME).read_bytes() == b"".join(PARTS)


def test_makes_it_of_those_parts_alone_that_are_listed(uploads, root):
    upload = begun(uploads)
    for number, content in enumerate(PARTS, 1):
        send(uploads, upload, number, content)

    complete(uploads, upload, (1, 3))

    assert (root / "images" / NAME).read_bytes() == PARTS[0] + PARTS[2]


def test_makes_it_of_all_that_came_where_none_are_listed(uploads, root):
    upload = begun(uploads)
    for number, content in enumerate(PARTS, 1):
        send(uploads, upload, number, content)

    uploads.complete("images", NAME, upload, None)

    assert (root / "images" / NAME).read_bytes() == b"".join(PARTS)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ([(1, "E"), (2, "E"), (4, "E")], "InvalidPart"),
        ([(1, "E"), (2, "0" * 32)], "InvalidPart"),
        ([(2, "E"), (1, "E")], "InvalidPartOrder"),
        ([(1, "E"), (1, "E")], "InvalidPartOrder"),
        ([(1, "E"), (3, "E"), (5, "E")], "EntityTooSmall"),
        ([], "InvalidPart"),
    ],
)
def test_refuses_parts_that_make_no_object_and_goes_on(uploads, root, wanted, code):
    upload = begun(uploads)
    etags = {}
    for number, content in (*enumerate(PARTS, 1), (5, b"five")):
        etags[number] = send(uploads, upload, number, content).etag
    told = [(number, etags.get(number, "0") if etag == "E" else etag) for number, etag in wanted]

    with pytest.raises(PartRefused) as refused:
        uploads.complete("images", NAME, upload, told)

    assert refused.value.code == code
    assert not (root / "images" / NAME).exists()
    send(uploads, upload, 2, PARTS[1])
    complete(uploads, upload)
    assert (root / "images" / NAME).read_bytes() == b"".join(PARTS)


def test_what_breaks_off_is_no_part_and_does_no_harm_to_the_next_try(uploads, root):
    upload = begun(uploads)
    draft = uploads.draft("images", NAME, upload, 1, LEAST_PART)
    draft.write(b"x" * 5000)
    draft.drop()
    assert uploads.parts("images", NAME, upload) == []
    zeros = bytes(LEAST_PART)
    send(uploads, upload, 1, zeros)

    complete(uploads, upload, (1,))

    assert (root / "images" / NAME).read_bytes() == zeros


def test_a_part_that_breaks_off_the_second_time_is_the_first_one_still(uploads, root):
    upload = begun(uploads)
    send(uploads, upload, 1, PARTS[0])
    draft = uploads.draft("images", NAME, upload, 1, LEAST_PART)
    draft.write(b"x" * 5000)
    draft.drop()

    complete(uploads, upload, (1,))

    assert (root / "images" / NAME).read_bytes() == PARTS[0]


def test_two_that_send_the_same_part_at_once_do_not_mix(uploads, root):
    upload = begun(uploads)
    drafts = [uploads.draft("images", NAME, upload, 1, 10) for _ in range(2)]
    for _ in range(5):
        for draft, letter in zip(drafts, (b"aa", b"bb"), strict=True):
            draft.write(letter)
    for draft in drafts:
        draft.keep(NOW)

    complete(uploads, upload, (1,))

    assert (root / "images" / NAME).read_bytes() == b"b" * 10


def test_nobody_writes_into_what_is_an_object_by_now(uploads, root):
    upload = begun(uploads)
    send(uploads, upload, 1, PARTS[0])
    late = uploads.draft("images", NAME, upload, 2, LEAST_PART)
    complete(uploads, upload, (1,))

    with pytest.raises(UploadMissing):
        late.write(b"x")
    with pytest.raises(UploadMissing):
        late.keep(NOW)

    assert (root / "images" / NAME).read_bytes() == PARTS[0]


@pytest.mark.parametrize(
    ("name", "wanted", "how", "error"),
    [
        (NAME, (1, 2), {}, PartRefused),
        (NAME, (1, 3), {"is_new_only": True}, ObjectExists),
        ("deep/disk.raw/below", (1, 3), {}, ObjectRefused),
    ],
)
def test_a_refused_call_changes_nothing_of_what_came_and_what_comes(uploads, root, name, wanted, how, error):  # noqa: PLR0917
    upload = begun(uploads, name)
    etags = {n: send(uploads, upload, n, PARTS[n - 1], name=name).etag for n in (1, 2, 3)}
    etags[2] = "0" * 32
    (root / "images" / "deep").mkdir()
    (root / "images" / NAME).write_bytes(b"old")
    arriving = uploads.draft("images", name, upload, 4, LEAST_PART)
    arriving.write(b"ab")
    before = uploads.parts("images", name, upload)

    with pytest.raises(error):
        uploads.complete("images", name, upload, [(n, etags[n]) for n in wanted], **how)

    assert uploads.parts("images", name, upload) == before
    arriving.write(b"cd")
    assert arriving.keep(NOW).size_bytes == 4
    (root / "images" / NAME).unlink()
    uploads.complete("images", name, upload, [(1, etags[1])])
    assert (root / "images" / name).read_bytes() == PARTS[0]


@pytest.mark.parametrize("listed", [(1, 2), (1, 3), (2, 3)])
def test_parts_that_are_not_listed_are_there_though_the_object_could_not_get_its_name(
    uploads, buckets, root, monkeypatch, listed
):
    upload = begun(uploads)
    for number, content in enumerate(PARTS, 1):
        send(uploads, upload, number, content)
    taken = root / "images" / NAME
    place = buckets.place

    def late(*given, **named):
        taken.mkdir(parents=True)  # Just before the object would have the name.
        place(*given, **named)

    monkeypatch.setattr(buckets, "place", late)
    with pytest.raises(ObjectRefused):
        complete(uploads, upload, listed)
    monkeypatch.undo()
    taken.rmdir()

    complete(uploads, upload)

    assert taken.read_bytes() == b"".join(PARTS)


def test_a_part_may_come_while_the_object_is_made_and_does_not_get_into_it(uploads, buckets, root, monkeypatch):
    upload = begun(uploads)
    for number, content in enumerate(PARTS, 1):
        send(uploads, upload, number, content)
    place = buckets.place

    def late(*given, **named):
        send(uploads, upload, 2, b"x" * LEAST_PART)
        send(uploads, upload, 4, b"y" * LEAST_PART)
        place(*given, **named)

    monkeypatch.setattr(buckets, "place", late)
    complete(uploads, upload)

    assert (root / "images" / NAME).read_bytes() == b"".join(PARTS)
    assert hidden(root) == []


def test_what_is_copied_takes_no_room_for_its_zeros(uploads, root):
    upload = begun(uploads)
    send(uploads, upload, 1, bytes(40 * PIECE))
    send(uploads, upload, 3, bytes(40 * PIECE - 3) + b"end")

    complete(uploads, upload, (1, 3))

    found = (root / "images" / NAME).stat()
    assert (found.st_size, found.st_blocks * 512 <= 2 * PIECE) == (80 * PIECE, True)


def test_nothing_is_left_of_a_copy_that_broke_off(uploads, root):
    upload = begun(uploads)
    for number in (1, 3):
        send(uploads, upload, number, PARTS[number - 1])
    folder = root / "images" / ".tmp-uploads" / upload
    os.truncate(folder / "data", LEAST_PART)
    before = sorted(folder.iterdir())

    with pytest.raises(PartRefused):
        complete(uploads, upload, (1, 3))

    assert sorted(folder.iterdir()) == before


def test_folders_that_go_just_then_are_made_again(uploads, buckets, root, monkeypatch):
    upload = begun(uploads)
    send(uploads, upload, 1, PARTS[0])
    place, times = buckets.place, []

    def late(file, target, **named):
        if not times:
            times.append(target.parent.rmdir())  # As whoever deletes the last object there.
        place(file, target, **named)

    monkeypatch.setattr(buckets, "place", late)
    complete(uploads, upload, (1,))

    assert (root / "images" / NAME).read_bytes() == PARTS[0]


def test_an_upload_begins_though_somebody_tries_to_remove_the_bucket_just_then(uploads, root, monkeypatch):
    mkdir, times = Path.mkdir, []

    def late(path, *given, **named):
        if path.parent.name == ".tmp-uploads" and not times:
            times.append(path.parent.rmdir())  # It held nothing, so it went first.
        mkdir(path, *given, **named)

    monkeypatch.setattr(Path, "mkdir", late)
    upload = begun(uploads)

    assert (times, [one.id for one in uploads.all("images")]) == ([None], [upload])


def test_parts_may_come_from_many_threads(uploads, root):
    upload, parts = begun(uploads), [os.urandom(LEAST_PART) for _ in range(12)]
    threads = [threading.Thread(target=send, args=(uploads, upload, n, part)) for n, part in enumerate(parts, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    complete(uploads, upload, range(1, 13))

    assert (root / "images" / NAME).read_bytes() == b"".join(parts)


def test_refuses_more_bytes_than_were_told(uploads):
    upload = begun(uploads)
    draft = uploads.draft("images", NAME, upload, 1, 10)

    with pytest.raises(ValueError, match="more came"):
        draft.write(b"x" * 11)
    draft.drop()


@pytest.mark.parametrize("upload", ["", "..", "0" * 32, "a" * 32, "0" * 31 + "/"])
def test_knows_no_upload_that_is_not_there(uploads, upload):
    for act in (
        lambda: uploads.parts("images", NAME, upload),
        lambda: uploads.draft("images", NAME, upload, 1, 1),
        lambda: uploads.complete("images", NAME, upload, []),
        lambda: uploads.abort("images", NAME, upload),
    ):
        with pytest.raises(UploadMissing):
            act()


def test_an_upload_is_of_one_object_and_over_at_its_end(uploads, root):
    upload = begun(uploads)
    with pytest.raises(UploadMissing):
        uploads.parts("images", "other", upload)
    send(uploads, upload, 1, b"x")
    assert [(one.id, one.name) for one in uploads.all("images")] == [(upload, NAME)]

    uploads.abort("images", NAME, upload)

    assert (uploads.all("images"), hidden(root)) == ([], [])
    with pytest.raises(UploadMissing):
        complete(uploads, upload)


def test_writes_over_no_object_where_it_must_not_and_can_be_given_up_then(uploads, root):
    upload = begun(uploads)
    send(uploads, upload, 1, b"new")
    (root / "images" / "deep").mkdir()
    (root / "images" / NAME).write_bytes(b"old")

    with pytest.raises(ObjectExists):
        complete(uploads, upload, (1,), is_new_only=True)

    assert (root / "images" / NAME).read_bytes() == b"old"
    uploads.abort("images", NAME, upload)
    assert hidden(root) == []


def test_a_bucket_with_an_upload_is_not_empty_and_one_without_is(uploads, buckets):
    upload = begun(uploads)
    assert buckets.page("images").objects == []
    with pytest.raises(BucketNotEmpty):
        buckets.remove("images")

    uploads.abort("images", NAME, upload)

    buckets.remove("images")


def test_bounds_how_many_are_open_and_how_large_a_part_is(buckets):
    uploads = Uploads(buckets, most_open=2)
    upload = begun(uploads)
    begun(uploads)
    with pytest.raises(PartRefused) as refused:
        begun(uploads)
    assert refused.value.code == "TooManyUploads"
    with pytest.raises(BucketFull):
        uploads.draft("images", NAME, upload, 1, 1 << 60)


def test_sweeps_what_was_abandoned_and_nothing_else(uploads, root):
    old, young = begun(uploads), begun(uploads)
    for path in [root / "images" / ".tmp-uploads" / old, *(root / "images" / ".tmp-uploads" / old).iterdir()]:
        os.utime(path, (NOW - ABANDONED_S - 1,) * 2)
    for path in [root / "images" / ".tmp-uploads" / young, *(root / "images" / ".tmp-uploads" / young).iterdir()]:
        os.utime(path, (NOW - ABANDONED_S + 1,) * 2)

    assert uploads.sweep(NOW) == [f"images/{old}"]
    assert [one.id for one in uploads.all("images")] == [young]


def test_a_start_ends_no_upload_for_its_age(uploads, root):
    """Its clock may be wrong, and what had come would be gone for good."""
    old = begun(uploads)
    send(uploads, old, 1, PARTS[0])
    for path in [root / "images" / ".tmp-uploads" / old, *(root / "images" / ".tmp-uploads" / old).iterdir()]:
        os.utime(path, (NOW - ABANDONED_S - 1,) * 2)

    assert uploads.clear() == []
    assert [one.id for one in uploads.all("images")] == [old]


def whole(uploads):
    """An upload from its beginning to its end, with a part that has no slot."""
    upload = begun(uploads)
    for number in (2, 1, 3):
        send(uploads, upload, number, PARTS[number - 1])
    complete(uploads, upload)


def test_killed_at_any_point_the_object_is_whole_or_not_there_and_nothing_is_left(uploads, buckets, root):
    path = root / "images" / NAME
    for number in range(len(points_of(lambda: whole(uploads)))):
        buckets.delete("images", NAME)

        assert killed_at(number, lambda: whole(Uploads(buckets)))

        assert not path.exists() or path.read_bytes() == b"".join(PARTS)
        afterwards = Uploads(buckets)
        buckets.sweep()
        afterwards.clear()
        for one in afterwards.all("images"):
            for n, content in enumerate(PARTS, 1):
                send(afterwards, one.id, n, content)
            complete(afterwards, one.id)
            assert path.read_bytes() == b"".join(PARTS)
        assert hidden(root) == []


def test_killed_while_it_is_completed_it_can_be_completed_again(uploads, buckets, root):
    path = root / "images" / NAME
    upload = begun(uploads)
    for number in (2, 1, 3):
        send(uploads, upload, number, PARTS[number - 1])

    assert killed_at(0, lambda: complete(Uploads(buckets), upload))

    assert not path.exists()
    complete(Uploads(buckets), upload)
    assert path.read_bytes() == b"".join(PARTS)
