from math import log2

from hypothesis import given, settings

from kiln.console.lineage import rails
from kiln.console.lineage.graph import Lineage
from tests.console.lineage.given import edges, forests, graph, lineages

examples = settings(max_examples=60, deadline=None)


def followed(rows):
    """What the rails say, by following each from row to row: who was made of whom, and which of that leads upwards."""
    found, upwards = set(), set()
    held = {}  # Of each lane below the last row: whose rail is there.
    for row in rows:
        passing = {rail.lane for rail in row.passes}
        joining = [rail.lane for rail in row.joins]
        assert held.keys() == passing | set(joining), "a rail begins or ends between two rows"
        assert row.lane not in passing, "a rail crosses the node"
        for rail in row.joins:
            one, is_upward = held[rail.lane]
            assert is_upward is rail.is_upward
            (upwards if is_upward else found).add((row.id, one) if is_upward else (one, row.id))
        held = {lane: held[lane] for lane in passing}
        for rail in row.leaves:
            assert rail.lane not in held, "two rails share a lane"
            held[rail.lane] = row.id, rail.is_upward
    assert not held, "a rail leads out of the last row"
    return found, upwards


@examples
@given(lineages())
def test_draws_every_node_once_and_every_edge(lineage):
    rows = rails.lay(lineage)
    assert sorted(row.id for row in rows) == sorted(lineage.nodes)
    down, up = followed(rows)
    assert down | up == edges(lineage)
    at = {row.id: number for number, row in enumerate(rows)}
    assert all(at[above] < at[below] for above, below in down)
    assert all(at[above] > at[below] for above, below in up)


@examples
@given(forests())
def test_a_forest_needs_few_lanes_and_nothing_leads_upwards(lineage):
    rows = rails.lay(lineage)
    assert not followed(rows)[1]
    assert rails.width(rows) <= log2(max(len(rows), 1)) + 1


@examples
@given(forests())
def test_a_tree_stands_together(lineage):
    """Every node's descendants are the rows below it, without a stranger between."""
    rows = [row.id for row in rails.lay(lineage)]
    sizes = {}
    for one in reversed(rows):
        sizes[one] = 1 + sum(sizes[made] for made in lineage.below[one])
    for one, size in sizes.items():
        start = rows.index(one)
        assert set(lineage.below[one]) <= set(rows[start : start + size])


def test_a_chain_stays_on_its_rail_beside_what_nothing_was_made_of():
    rows = rails.lay(graph(("m-0", "m-1"), ("m-1", "m-2"), ("m-0", "m-3")))
    assert [(row.id, row.lane) for row in rows] == [("m-0", 0), ("m-3", 1), ("m-1", 0), ("m-2", 0)]


def test_a_cycle_is_drawn_with_one_rail_that_leads_upwards():
    rows = rails.lay(graph(("i-1", "s-1"), ("s-1", "i-1")))
    assert followed(rows) == ({("i-1", "s-1")}, {("s-1", "i-1")})


def test_the_newest_tree_stands_first():
    lineage = graph(("m-0", "m-1"), more=["m-2"])
    ages = {"m-0": "1", "m-1": "3", "m-2": "2"}
    nodes = {one: node._replace(made=ages[one]) for one, node in lineage.nodes.items()}
    assert [row.id for row in rails.lay(Lineage(nodes, lineage.edges))] == ["m-0", "m-1", "m-2"]


def test_nothing_has_no_rows():
    assert rails.lay(graph()) == []
    assert rails.width([]) == 0
