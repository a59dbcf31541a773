from kiln.console.lineage.graph import Kind
from kiln.console.lineage.reading import read
from tests.console.lineage.given import disk, edges, image, instance, snapshot


def test_an_image_stands_between_its_snapshots_and_its_instances():
    lineage = read(
        images=[image("m-1", "s-1", "s-2")],
        snapshots=[snapshot("s-1", "d-1"), snapshot("s-2", "d-2")],
        disks=[disk("d-1", "i-1"), disk("d-2")],
        instances=[instance("i-1"), instance("i-2", "m-1")],
    )
    assert edges(lineage) == {("i-1", "s-1"), ("d-2", "s-2"), ("s-1", "m-1"), ("s-2", "m-1"), ("m-1", "i-2")}
    assert {one: node.kind for one, node in lineage.nodes.items()} == {
        "i-1": Kind.INSTANCE,
        "i-2": Kind.INSTANCE,
        "d-2": Kind.DISK,
        "s-1": Kind.SNAPSHOT,
        "s-2": Kind.SNAPSHOT,
        "m-1": Kind.IMAGE,
    }


def test_what_is_named_and_not_there_is_missing():
    lineage = read(snapshots=[snapshot("s-1", "d-gone")], instances=[instance("i-1", "m-gone")])
    gone = {one: node.kind for one, node in lineage.nodes.items() if node.is_missing}
    assert gone == {"d-gone": Kind.DISK, "m-gone": Kind.IMAGE}
    assert edges(lineage) == {("d-gone", "s-1"), ("m-gone", "i-1")}


def test_a_copy_stands_on_what_it_is_a_copy_of_and_not_on_its_disk():
    lineage = read(snapshots=[snapshot("s-1", "d-1"), snapshot("s-2", "d-1", SourceSnapshotId="s-1")])
    assert edges(lineage) == {("d-1", "s-1"), ("s-1", "s-2")}


def test_a_disk_of_an_image_stands_on_the_image_alone_and_another_on_its_snapshot():
    lineage = read(
        images=[image("m-1", "s-1")],
        snapshots=[snapshot("s-1"), snapshot("s-2")],
        disks=[disk("d-1", "i-1", ImageId="m-1", SourceSnapshotId="s-1"), disk("d-2", "i-1", SourceSnapshotId="s-2")],
        instances=[instance("i-1", "m-1")],
    )
    assert edges(lineage) == {("s-1", "m-1"), ("m-1", "i-1"), ("s-2", "i-1")}


def test_an_instance_can_be_made_of_what_was_made_of_it():
    lineage = read(
        snapshots=[snapshot("s-1", "d-1")],
        disks=[disk("d-1", "i-1"), disk("d-2", "i-1", SourceSnapshotId="s-1")],
        instances=[instance("i-1")],
    )
    assert edges(lineage) == {("i-1", "s-1"), ("s-1", "i-1")}


def test_an_image_of_others_is_said_to_be_theirs_and_blank_disks_have_no_source():
    lineage = read(images=[image("m-1", "", ImageOwnerAlias="others")])
    assert lineage.nodes["m-1"].is_others
    assert edges(lineage) == set()


def test_sizes_are_those_of_the_disks():
    lineage = read(
        images=[image("m-1", "s-1", "s-2")], disks=[disk("d-1", "i-1"), disk("d-2", "i-1")], instances=[instance("i-1")]
    )
    assert lineage.nodes["m-1"].size_bytes == lineage.nodes["i-1"].size_bytes == 4 << 30


def test_a_disk_of_an_instance_that_was_not_read_is_that_instance_s():
    lineage = read(snapshots=[snapshot("s-1", "d-1")], disks=[disk("d-1", "i-unread")])
    assert edges(lineage) == {("i-unread", "s-1")}
    assert lineage.nodes["i-unread"].is_missing
