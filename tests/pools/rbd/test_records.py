"""What a pool on Ceph keeps beside its volumes: whole batches or none, whatever became of the objects."""

from __future__ import annotations

import pytest

from kiln.pools.errors import IdentityBroken, RecordsTooNew, VolumeBroken, VolumeBusy
from kiln.pools.port import Generation, Identity
from kiln.pools.rbd.records import IDENTITY, RECORDS
from tests.pools.kills import killed_at

pytestmark = pytest.mark.ceph

DEPLOYMENT = "one"
FIRST = Identity("one", Generation(1, "a"))
SECOND = Identity("one", Generation(2, "b"), Generation(3, "c"))


@pytest.fixture
def again(kind, tmp_path):
    """The pool as another process sees it."""
    return lambda: kind.open(tmp_path)


def write(pool, count=3):
    for n in range(count):
        pool.records.put("snapshot", f"s-{n}", {"name": f"n{n}", "text": "ü\n"}, [f"v-{n}"])
        pool.records.flush(n + 1, DEPLOYMENT)


def test_gives_back_what_was_flushed(pool, again):
    write(pool)
    pool.records.put("snapshot", "s-9", {"never": "flushed"})

    records = again().records

    assert dict(records.all("snapshot")) == {f"s-{n}": {"name": f"n{n}", "text": "ü\n"} for n in range(3)}
    assert (records.batch, records.deployment, records.damaged, records.doubtful) == (3, DEPLOYMENT, 0, [])


def test_says_which_documents_name_a_volume(pool, again):
    write(pool)
    pool.records.put("disk", "d-1", {"a": 1}, ["v-1"])
    assert pool.records.naming("v-1") == [("disk", "d-1"), ("snapshot", "s-1")]

    pool.records.put("snapshot", "s-1", None)
    pool.records.flush(9, DEPLOYMENT)

    assert pool.records.naming("v-1") == again().records.naming("v-1") == [("disk", "d-1")]
    assert again().records.names("snapshot") == ["s-0", "s-2"]
    assert again().records.get("snapshot", "s-1") is None


def test_writes_nothing_that_is_kept_already(pool, again):
    write(pool)
    records = again().records

    assert not records.differs("snapshot", "s-0", {"text": "ü\n", "name": "n0"}, ["v-0"])
    records.put("snapshot", "s-0", {"text": "ü\n", "name": "n0"}, ["v-0"])

    assert records.flush(3, DEPLOYMENT) == 0
    assert records.differs("snapshot", "s-0", {"text": "ü\n", "name": "n0"}, ["v-1"])
    assert records.differs("snapshot", "s-0", None)


def test_overwrites_nothing_that_another_process_has_written_since(pool, again):
    write(pool)
    other = again()
    other.records.put("snapshot", "s-0", {"name": "theirs"})
    pool.records.put("snapshot", "s-1", {"name": "ours"})
    other.records.flush(4, DEPLOYMENT)

    with pytest.raises(VolumeBusy):
        pool.records.flush(4, DEPLOYMENT)
    pool.records.flush(5, DEPLOYMENT)

    found = again().records
    assert (found.batch, found.get("snapshot", "s-0"), found.get("snapshot", "s-1")) == (
        5, {"name": "theirs"}, {"name": "ours"},
    )  # fmt: skip


def test_passes_over_damage_and_tells_what_it_was_about_until_that_is_written_anew(pool, again):
    write(pool)
    damage(pool, "snapshot/s-1", b"0123456789abcdef {}")

    records = again().records
    assert (records.damaged, records.doubtful) == (1, [("snapshot", "s-1")])
    assert records.names("snapshot") == ["s-0", "s-2"]
    records.put("snapshot", "s-1", {"name": "again"})
    records.flush(4, DEPLOYMENT)

    assert (again().records.damaged, again().records.get("snapshot", "s-1")) == (0, {"name": "again"})


def damage(pool, key, value):
    """Write a record behind the pool's back."""
    with pool._cluster.telling() as ioctx, pool._cluster.rados.WriteOpCtx() as op:
        ioctx.set_omap(op, (key,), (value,))
        ioctx.operate_write_op(op, RECORDS)


def test_refuses_what_a_newer_kiln_wrote(pool, again):
    write(pool)
    with pool._cluster.telling() as ioctx:
        ioctx.write_full(RECORDS, b'{"format": 2, "deployment": "one", "batch": 9}')

    with pytest.raises(RecordsTooNew, match="format 2"):
        _ = again().records.batch


def test_refuses_what_is_not_of_ours(pool, again):
    with pool._cluster.telling() as ioctx:
        ioctx.write_full(RECORDS, b"something else")

    with pytest.raises(VolumeBroken, match=RECORDS):
        _ = again().records.batch


def test_a_kill_at_any_line_leaves_the_batch_before_or_the_whole_next(kind, pool, again):
    write(pool)

    def act():
        records = again().records
        records.put("snapshot", "s-0", None)
        records.put("snapshot", "s-1", {"name": "new"})
        records.flush(9, DEPLOYMENT)

    seen = []
    for number in range(2):
        kind.close()
        assert killed_at(number, act)
        records = again().records
        seen.append((records.batch, dict(records.all("snapshot"))))

    before = {f"s-{n}": {"name": f"n{n}", "text": "ü\n"} for n in range(3)}
    assert seen == [(3, before), (9, {"s-1": {"name": "new"}, "s-2": before["s-2"]})]


def test_a_kill_at_any_line_leaves_the_one_identity_or_the_other(kind, pool, again):
    pool.identify(FIRST)
    seen = []
    for number in range(2):
        kind.close()
        assert killed_at(number, lambda: again().identify(SECOND))
        seen.append(again().identity())

    assert seen == [FIRST, SECOND]


def test_says_whose_it_is(pool, again):
    assert pool.identity() is None
    pool.identify(FIRST)
    assert again().identity() == FIRST

    pool.identify(SECOND)

    assert again().identity() == SECOND


def test_is_broken_when_what_says_whose_it_is_is_none_of_ours(pool, again):
    pool.identify(FIRST)
    with pool._cluster.telling() as ioctx:
        ioctx.write_full(IDENTITY, b"{}")

    with pytest.raises(IdentityBroken):
        again().identity()
