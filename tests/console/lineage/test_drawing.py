from xml.etree import ElementTree as ET

from hypothesis import given, settings

from kiln.console.lineage import rails
from kiln.console.lineage.drawing import draw
from kiln.console.lineage.reading import read
from tests.console.lineage.given import graph, image, instance, lineages


@settings(max_examples=30, deadline=None)
@given(lineages())
def test_each_row_is_a_drawing_of_its_own_with_a_path_for_each_rail(lineage):
    rows = rails.lay(lineage)
    drawn = [ET.fromstring(svg) for svg in draw(rows, lineage.nodes)]
    for row, svg in zip(rows, drawn, strict=True):
        assert svg.tag == "svg"
        looks = [path.get("class").split()[0] for path in svg]
        assert looks.count("rail") == len(row.passes) + len(row.joins) + len(row.leaves)
        assert looks[-1] == "node"
    assert len({svg.get("width") for svg in drawn}) <= 1


def test_no_text_and_no_style_is_in_a_drawing():
    hostile = "<script>alert('1')</script>"
    lineage = read(images=[image(f"m-{hostile}", f's-{hostile}"', ImageName=hostile, Status=hostile)])
    drawn = "".join(draw(rails.lay(lineage), lineage.nodes))
    assert "script" not in drawn
    assert "style" not in drawn


def test_says_by_classes_what_is_missing_what_is_anothers_and_what_leads_upwards():
    lineage = read(images=[image("m-1", ImageOwnerAlias="others")], instances=[instance("i-1", "m-gone")])
    drawn = "".join(draw(rails.lay(lineage), lineage.nodes))
    assert 'class="node image others"' in drawn
    assert 'class="node image gone"' in drawn
    assert "up" not in drawn
    cycle = graph(("m-0", "m-1"), ("m-1", "m-0"))
    assert ' up"' in "".join(draw(rails.lay(cycle), cycle.nodes))


def test_a_graph_of_very_many_lanes_leaves_room_for_words():
    lineage = graph(*((f"m-{n}", f"m-{n + 200}") for n in range(100)), *((f"m-{n}", "m-last") for n in range(100)))
    drawn = draw(rails.lay(lineage), lineage.nodes)
    assert int(ET.fromstring(drawn[0]).get("width")) <= 40 * 14
