from __future__ import annotations

import pytest

from kiln.client.catalogue import Action, Part
from kiln.client.parameters import ParameterRefused, flatten

TAG = Part("Tag", "object", is_repeated=True, parts=(Part("Key", "string", aliases=("key",)), Part("Value", "string")))
DISK = Part("SystemDisk", "object", parts=(Part("Size", "integer"),))
PARTS = (
    Part("ImageName", "string"),
    Part("DryRun", "boolean"),
    Part("SecurityGroupIds", "string", is_repeated=True),
    Part("InstanceIds", "string", is_repeated=True, packed="json"),
    Part("Status", "string", is_repeated=True, packed="comma"),
    TAG,
    DISK,
)
ACTION = Action(
    product="Ecs",
    version="2014-05-26",
    name="DoIt",
    group="images",
    summary="",
    doc="",
    is_read=False,
    is_idempotent=False,
    dry_run="",
    leads_to=(),
    also_in=(),
    request=Part("", "object", parts=PARTS),
    answer=Part("", "object"),
    faults=(),
)


@pytest.mark.parametrize(
    ("given", "flat"),
    [
        ({"ImageName": "web", "DryRun": True}, {"ImageName": "web", "DryRun": "true"}),
        ({"ImageName": None}, {}),
        ({"ImageName": ""}, {"ImageName": ""}),
        ({"Tag": [{"Key": "a", "Value": "b"}, {"Key": "c"}]}, {"Tag.1.Key": "a", "Tag.1.Value": "b", "Tag.2.Key": "c"}),
        ({"Tag.3.Key": "a"}, {"Tag.3.Key": "a"}),
        ({"Tag.3.key": "a"}, {"Tag.3.key": "a"}),
        ({"Tag.1": {"Key": "a"}}, {"Tag.1.Key": "a"}),
        ({"SystemDisk": {"Size": 40}}, {"SystemDisk.Size": "40"}),
        ({"SystemDisk.Size": 40}, {"SystemDisk.Size": "40"}),
        ({"SecurityGroupIds": ["a", "b"]}, {"SecurityGroupIds.1": "a", "SecurityGroupIds.2": "b"}),
        ({"SecurityGroupIds.1": "a"}, {"SecurityGroupIds.1": "a"}),
        ({"InstanceIds": ["i-1", "i-2"]}, {"InstanceIds": '["i-1", "i-2"]'}),
        ({"InstanceIds": '["i-1"]'}, {"InstanceIds": '["i-1"]'}),
        ({"Status": ["Creating", "Available"]}, {"Status": "Creating,Available"}),
        ({"SecurityGroupIds": []}, {"SecurityGroupIds": "[]"}),
        ({"Tag": []}, {"Tag": "[]"}),
        ({"InstanceIds": []}, {"InstanceIds": "[]"}),
        ({"InstanceIds.1": "i-1"}, {"InstanceIds.1": "i-1"}),
        ({"Tag": '[{"Key":"a"}]'}, {"Tag": '[{"Key":"a"}]'}),
        ({"SystemDisk": '{"Size":"40"}'}, {"SystemDisk": '{"Size":"40"}'}),
    ],
)
def test_spells_flat_names(given, flat):
    assert flatten(ACTION, given) == flat


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ImagName": "web"}, "did you mean ImageName?"),
        ({"imagename": "web"}, "did you mean ImageName?"),
        ({"Tag.Key": "a"}, "without its number: give .1.Key"),
        ({"Tag.0.Key": "a"}, "no parameter Tag.0.Key"),
        ({"Tag.1.1.Key": "a"}, "no parameter Tag.1.1.Key"),
        ({"Tag[0].Key": "a"}, "no parameter"),
        ({"ImageName.1": "a"}, "no parameter ImageName.1"),
        ({"Tag": "[1"}, "Tag is a list"),
        ({"Tag.1.Kee": "a"}, "did you mean Key?"),
        ({"SystemDisk.1.Size": 1}, "no parameter SystemDisk.1.Size"),
        ({"Tag": [{"Name": "a"}]}, "Tag.1 has no part Name$"),
        ({"Tag": [{"ValueX": "a"}]}, "Tag.1 has no part ValueX; did you mean Value?"),
        ({"IMAGENAME": "web"}, "did you mean ImageName?"),
        ({"ImageName": ["a"]}, "cannot be spelled"),
        ({"SecurityGroupIds": "a"}, "give SecurityGroupIds.1"),
        ({"SystemDisk": "40"}, "give SystemDisk.Size"),
        ({"ImageName": b"web"}, "bytes cannot be spelled"),
        ({"Tag": [{"Key": "a"}], "Tag.1.Key": "b"}, "Tag.1.Key is given twice"),
        ({"ImageName": "a\udcff"}, r"'a\\udcff' is no UTF-8"),
        ({"InstanceIds": ["i-1", "a\udcff"]}, "is no UTF-8"),
        ({"InstanceIds": '["a\udcff"]'}, "is no UTF-8"),
        ({"Status": ["a\udcff"]}, "is no UTF-8"),
        ({"Tag": [{"Key": "a\udcff"}]}, "is no UTF-8"),
        ({"Tag": '[{"Key": "a\udcff"}]'}, "is no UTF-8"),
        ({"SecurityGroupIds": ["a\udcff"]}, "is no UTF-8"),
    ],
)
def test_refuses_what_the_catalogue_does_not_know(given, words):
    with pytest.raises(ParameterRefused, match=words):
        flatten(ACTION, given)
