"""Elements of the API's listings, as far as a lineage reads them, and lineages of any shape."""

from __future__ import annotations

from hypothesis import strategies as st

from kiln.console.lineage.graph import Edge, Kind, Lineage, Node


def image(name, *snapshots, **more):
    mapped = [{"SnapshotId": one, "Size": "2"} for one in snapshots]
    return {
        "ImageId": name,
        "ImageName": f"name of {name}",
        "Status": "Available",
        "ImageOwnerAlias": "self",
        "CreationTime": "2026-11-18T11:07:58Z",
        "DiskDeviceMappings": {"DiskDeviceMapping": mapped},
        **more,
    }


def snapshot(name, disk="", **more):
    return {
        "SnapshotId": name,
        "SourceDiskId": disk,
        "FullSnapshotSizeInBytes": 2 << 30,
        "SourceSnapshotId": "",
        **more,
    }


def disk(name, instance="", **more):
    return {"DiskId": name, "InstanceId": instance, "Size": 2, "ImageId": "", "SourceSnapshotId": "", **more}


def instance(name, image="", **more):
    return {"InstanceId": name, "InstanceName": "", "ImageId": image, "Status": "Running", **more}


def edges(lineage):
    return {(edge.above, edge.below) for edge in lineage.edges}


def graph(*pairs, more=()):
    """A lineage of images that have these edges."""
    names = dict.fromkeys([*more, *(name for pair in pairs for name in pair)])
    return Lineage({name: Node(name, Kind.IMAGE) for name in names}, [Edge(*pair) for pair in pairs])


@st.composite
def lineages(draw, most=14):
    """Any graph: with cycles, with several sources of one, in pieces."""
    names = [f"m-{number}" for number in range(draw(st.integers(0, most)))]
    one = st.sampled_from(names or ["none"])
    pairs = draw(st.sets(st.tuples(one, one).filter(lambda pair: pair[0] != pair[1]), max_size=2 * most))
    return graph(*sorted(pairs), more=names) if names else graph()


@st.composite
def forests(draw, most=60):
    """Any trees: each has one source at most."""
    above = draw(st.lists(st.integers(-1, most), max_size=most))
    return graph(
        *((f"m-{source % number}", f"m-{number}") for number, source in enumerate(above) if number and source >= 0),
        more=[f"m-{number}" for number in range(len(above))],
    )
