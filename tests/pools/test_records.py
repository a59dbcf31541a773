"""What a pool keeps beside its volumes: whole lines or none, whatever became of the file."""

from __future__ import annotations

import json
from hashlib import blake2b

import pytest

from kiln.pools.errors import RecordsTooNew
from kiln.pools.folder import Folder
from kiln.pools.records import NAME, Records, summarise
from tests.pools.kills import killed_at, points_of

DEPLOYMENT = "one"


def a_folder(tmp_path):
    return tmp_path / "hidden"


def opened(tmp_path):
    return Records(Folder(a_folder(tmp_path)))


def written(tmp_path, count=3):
    records = opened(tmp_path)
    for n in range(count):
        records.put("snapshot", f"s-{n}", {"name": f"n{n}", "text": "ü\n"}, [f"v-{n}"])
        records.flush(n + 1, DEPLOYMENT)
    return records


def lines(tmp_path):
    return (a_folder(tmp_path) / NAME).read_bytes().splitlines(keepends=True)


def rewrite(tmp_path, changed):
    (a_folder(tmp_path) / NAME).write_bytes(b"".join(changed))


def everything(records):
    return dict(records.all("snapshot"))


def test_gives_back_what_was_flushed(tmp_path):
    written(tmp_path).put("snapshot", "s-9", {"never": "flushed"})

    records = opened(tmp_path)

    assert everything(records) == {f"s-{n}": {"name": f"n{n}", "text": "ü\n"} for n in range(3)}
    assert (records.batch, records.deployment, records.damaged) == (3, DEPLOYMENT, 0)
    assert summarise(a_folder(tmp_path)).batch == 3


def test_says_which_documents_name_a_volume(tmp_path):
    records = written(tmp_path)
    records.put("disk", "d-1", {"a": 1}, ["v-1"])
    before = records.naming("v-1")
    records.put("snapshot", "s-1", None)

    assert before == [("disk", "d-1"), ("snapshot", "s-1")]
    assert records.naming("v-1") == [("disk", "d-1")]
    records.flush(4, DEPLOYMENT)
    assert opened(tmp_path).naming("v-1") == [("disk", "d-1")]
    assert records.naming("v-none") == []


def test_forgets_what_is_gone(tmp_path):
    records = written(tmp_path)
    records.put("snapshot", "s-0", None)
    assert records.get("snapshot", "s-0") is None
    records.flush(4, DEPLOYMENT)

    assert list(everything(opened(tmp_path))) == ["s-1", "s-2"]


def test_writes_nothing_that_is_kept_already(tmp_path):
    records = written(tmp_path)
    before = lines(tmp_path)
    records.put("snapshot", "s-1", {"text": "ü\n", "name": "n1"}, ["v-1"])
    records.put("snapshot", "s-7", None)

    assert records.flush(3, DEPLOYMENT) == 0
    assert lines(tmp_path) == before


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_takes_a_torn_end_for_what_was_never_written(tmp_path, cut):
    written(tmp_path)
    kept = lines(tmp_path)
    rewrite(tmp_path, [*kept[:-1], kept[-1][:cut]])

    records = opened(tmp_path)

    assert list(everything(records)) == ["s-0", "s-1"]
    assert (records.batch, records.damaged) == (2, 0)
    records.put("snapshot", "s-5", {})
    records.flush(5, DEPLOYMENT)
    assert list(everything(opened(tmp_path))) == ["s-0", "s-1", "s-5"]


def test_takes_zeros_at_the_end_for_what_was_never_written(tmp_path):
    written(tmp_path)
    rewrite(tmp_path, [*lines(tmp_path), bytes(5000)])

    records = opened(tmp_path)

    assert (len(everything(records)), records.damaged, summarise(a_folder(tmp_path)).batch) == (3, 0, 3)


@pytest.mark.parametrize("at", [0, 1])
def test_passes_over_damage_and_keeps_it_aside(tmp_path, at):
    written(tmp_path)
    kept = lines(tmp_path)
    kept[at] = kept[at].replace(b"1", b"7").replace(b"one", b"two")
    rewrite(tmp_path, kept)
    damaged = b"".join(kept)

    records = opened(tmp_path)
    assert records.damaged == 1
    records.put("snapshot", "s-0", {"again": True})
    records.flush(9, DEPLOYMENT)

    assert (a_folder(tmp_path) / "records.damaged").read_bytes() == damaged
    again = opened(tmp_path)
    assert (again.damaged, sorted(everything(again)), again.batch) == (0, ["s-0", "s-1", "s-2"], 9)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_tells_what_a_damaged_record_was_about_unless_a_later_one_does(tmp_path, number):
    written(tmp_path)
    records = opened(tmp_path)
    records.put("snapshot", "s-0", {"name": "later"})
    records.flush(4, DEPLOYMENT)
    rewrite(tmp_path, [line.replace(b'"name":"n%d' % number, b'"name":"x') for line in lines(tmp_path)])

    records = opened(tmp_path)

    assert (records.damaged, records.doubtful) == (1, [] if number == 0 else [("snapshot", f"s-{number}")])
    records.flush(5, DEPLOYMENT)
    assert (records.doubtful, opened(tmp_path).doubtful) == ([], [])


def test_refuses_what_a_newer_kiln_wrote(tmp_path):
    written(tmp_path)
    records = opened(tmp_path)
    text = json.dumps({"deployment": DEPLOYMENT, "format": 2}, sort_keys=True, separators=(",", ":")).encode()
    rewrite(tmp_path, [blake2b(text, digest_size=8).hexdigest().encode() + b" " + text + b"\n", *lines(tmp_path)[1:]])

    with pytest.raises(RecordsTooNew):
        records.names("snapshot")
    with pytest.raises(RecordsTooNew):
        summarise(a_folder(tmp_path))


def test_passes_over_fields_that_a_later_kiln_added(tmp_path):
    records = written(tmp_path)
    records.put("snapshot", "s-1", {"name": "x", "later": [1]})
    records.put("balloon", "b-1", {"a": 1})
    records.flush(4, DEPLOYMENT)

    assert opened(tmp_path).get("snapshot", "s-1") == {"name": "x", "later": [1]}


def test_is_written_anew_when_most_of_it_is_not_needed(tmp_path):
    records = written(tmp_path)
    for n in range(40):
        records.put("image", "m-1", {"n": n, "text": "x" * 60_000})
        records.flush(10 + n, DEPLOYMENT)

    assert (a_folder(tmp_path) / NAME).stat().st_size < 1_400_000
    again = opened(tmp_path)
    assert again.get("image", "m-1")["n"] == 39
    assert (again.batch, len(everything(again))) == (49, 3)


@pytest.mark.parametrize("rewritten", [False, True])
def test_a_kill_at_any_line_leaves_what_was_or_what_is_to_be(tmp_path, rewritten):
    def change(folder):
        records = opened(folder)
        if rewritten:
            records.put("snapshot", "s-1", {"changed": "x" * 2_000_000})
            records.flush(max(8, records.batch), DEPLOYMENT)
        records.put("snapshot", "s-1", {"changed": 1})
        records.put("snapshot", "s-2", None)
        records.flush(9, DEPLOYMENT)

    def prepared(name):
        folder = tmp_path / name
        folder.mkdir()
        written(folder)
        return folder

    whole = prepared("all")
    count = len(points_of(lambda: change(whole)))
    assert count > 2
    for number in range(count):
        folder = prepared(str(number))
        assert killed_at(number, lambda folder=folder: change(folder))

        records = opened(folder)
        assert records.damaged == 0
        assert records.get("snapshot", "s-0") is not None
        assert (records.get("snapshot", "s-2") is None) == (records.batch == 9)
        assert (records.get("snapshot", "s-1") == {"changed": 1}) == (records.batch == 9)
        change(folder)
        assert sorted(everything(opened(folder))) == ["s-0", "s-1"]


def test_every_line_is_json_whose_names_are_in_order(tmp_path):
    records = opened(tmp_path)
    records.put("snapshot", "s-1", {"z": 'a "document":null in it', "a": {"d": 1, "b": None}}, ["v-2", "v-1"])
    records.put("snapshot", "s-2", {})
    records.flush(1, DEPLOYMENT)
    records.put("snapshot", "s-1", None)
    records.flush(2, DEPLOYMENT)

    texts = [line.rstrip(b"\n").partition(b" ")[2] for line in lines(tmp_path)]

    assert [json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")).encode() for text in texts] == texts
    assert everything(opened(tmp_path)) == {"s-2": {}}
    assert [json.loads(text).get("document", "-") for text in texts] == [
        "-",
        {"z": 'a "document":null in it', "a": {"d": 1, "b": None}},
        {},
        "-",
        None,
    ]
