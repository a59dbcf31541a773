from kiln.console.lineage.graph import Kind
from kiln.console.lineage.reading import read
from kiln.console.lineage.standing import count, deletion, deprecation, standing_on
from tests.console.lineage.given import disk, image, instance, snapshot

TWO_GIB = 2 << 30


def line():
    """An instance, a snapshot and an image of it, an instance of that image, and a snapshot and image of that one."""
    return read(
        images=[image("m-1", "s-1"), image("m-2", "s-2"), image("m-3", Status="Deprecated")],
        snapshots=[snapshot("s-1", "d-1"), snapshot("s-2", "d-2"), snapshot("s-3", "d-gone")],
        disks=[disk("d-1", "i-1"), disk("d-2", "i-2", ImageId="m-1")],
        instances=[instance("i-1"), instance("i-2", "m-1"), instance("i-3", "m-3")],
    )


def test_tells_all_that_stands_on_a_node():
    below = standing_on(line(), "s-1")
    assert below == ("m-1", "i-2", "s-2", "m-2")
    assert count(line(), below) == {Kind.IMAGE: 2, Kind.INSTANCE: 1, Kind.SNAPSHOT: 1}


def test_an_image_gives_nothing_back_and_leaves_its_snapshots():
    it = deletion(line(), "m-1")
    assert (it.refused_by, it.forced_by, it.most_bytes) == ((), ("i-2",), 0)
    assert (it.leaves, it.leaves_bytes) == (("s-1",), TWO_GIB)
    assert it.shares_with == ("i-1", "i-2")


def test_a_snapshot_is_held_by_its_images_and_shares_with_its_disk():
    it = deletion(line(), "s-2")
    assert (it.refused_by, it.most_bytes, it.shares_with) == (("m-2",), 0, ("m-2", "i-2"))


def test_a_snapshot_that_nothing_else_needs_gives_back_what_it_reads_as_at_most():
    it = deletion(line(), "s-3")
    assert (it.refused_by, it.forced_by, it.shares_with, it.most_bytes) == ((), (), (), TWO_GIB)


def test_a_snapshot_of_which_a_disk_was_made_takes_force():
    lineage = read(snapshots=[snapshot("s-1", "d-gone")], disks=[disk("d-1", SourceSnapshotId="s-1")])
    assert deletion(lineage, "s-1").forced_by == ("d-1",)


def test_a_snapshot_that_two_images_name_is_left_by_neither():
    lineage = read(images=[image("m-1", "s-1"), image("m-2", "s-1")], snapshots=[snapshot("s-1")])
    assert deletion(lineage, "m-1").leaves == ()


def test_what_is_missing_or_anothers_is_nothing_to_delete():
    lineage = read(images=[image("m-1", ImageOwnerAlias="others")], snapshots=[snapshot("s-1", "d-gone")])
    for one in ("m-1", "d-gone"):
        assert deletion(lineage, one) == ((), (), (), 0, (), 0)


def test_deprecates_what_is_available_at_and_below_a_node():
    assert deprecation(line(), "i-1") == (("m-1", "m-2"), ())
    assert deprecation(line(), "m-2") == (("m-2",), ())
    assert deprecation(line(), "m-3") == ((), ("m-3",))
    assert deprecation(line(), "i-3") == ((), ())
