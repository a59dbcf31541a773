import pytest

from kiln.console.lineage.cutting import around, down_to, folded
from kiln.console.lineage.graph import Kind
from kiln.console.lineage.reading import read
from tests.console.lineage.given import disk, edges, graph, image, instance, snapshot


def test_keeps_what_is_near_and_says_how_much_was_left_out():
    lineage = graph(("m-0", "m-1"), ("m-1", "m-2"), ("m-2", "m-3"), ("m-3", "m-4"), ("m-1", "m-5"))
    near = around(lineage, "m-2", up=1, down=1)
    assert set(near.lineage.nodes) == {"m-1", "m-2", "m-3"}
    assert (near.left_above["m-1"], near.left_below["m-1"], near.left_below["m-3"], near.left_below["m-2"]) == (
        1,
        1,
        1,
        0,
    )


def test_without_a_bound_keeps_all_above_and_below_and_no_more():
    lineage = graph(("m-0", "m-1"), ("m-1", "m-2"), ("m-1", "m-3"), ("m-4", "m-3"))
    assert set(around(lineage, "m-2").lineage.nodes) == {"m-0", "m-1", "m-2"}
    with pytest.raises(KeyError):
        around(lineage, "m-9")


def test_a_cycle_is_gone_round_once():
    assert set(around(graph(("m-0", "m-1"), ("m-1", "m-0")), "m-0").lineage.nodes) == {"m-0", "m-1"}


def test_a_depth_counts_from_what_was_made_of_nothing_and_a_cycle_has_none():
    lineage = graph(("m-0", "m-1"), ("m-1", "m-2"), ("m-3", "m-4"), ("m-4", "m-3"))
    cut = down_to(lineage, 1)
    assert set(cut.lineage.nodes) == {"m-0", "m-1", "m-3", "m-4"}
    assert cut.left_below["m-1"] == 1


def builds(*families, standing=()):
    """A builder, and of each build a snapshot and an image; instances of those in *standing*."""
    return read(
        images=[
            image(f"m-{n}", f"s-{n}", ImageFamily=family, CreationTime=f"{n}") for n, family in enumerate(families)
        ],
        snapshots=[snapshot(f"s-{n}", "d-1") for n in range(len(families))],
        disks=[disk("d-1", "i-1")],
        instances=[instance("i-1"), *(instance(f"i-of-{one}", one) for one in standing)],
    )


def test_older_images_of_a_family_become_one_with_their_snapshots():
    lineage = folded(builds("web", "web", "web", "web", "db"))
    assert edges(lineage) == {
        ("i-1", "fold-m-3"),
        ("i-1", "s-3"),
        ("s-3", "m-3"),
        ("i-1", "s-4"),
        ("s-4", "m-4"),
    }
    fold = lineage.nodes["fold-m-3"]
    assert (fold.kind, fold.family) == (Kind.FOLD, "web")
    assert set(fold.holds) == {"m-0", "m-1", "m-2", "s-0", "s-1", "s-2"}


def test_what_something_stands_on_is_not_folded_away():
    lineage = folded(builds("web", "web", "web", "web", standing=["m-1"]))
    assert {"m-1", "s-1", "i-of-m-1", "m-3"} <= lineage.nodes.keys()
    assert set(lineage.nodes["fold-m-3"].holds) == {"m-0", "m-2", "s-0", "s-2"}


def test_one_older_image_is_shown_as_it_is_and_so_are_those_without_a_family():
    for lineage in (builds("web", "web"), builds("", "", "")):
        assert folded(lineage).nodes == lineage.nodes
