"""Every list, object and single value of every operation, spelled every way: understood alike, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.operation import ClientTokenInput, DryRunInput, OwnerInput
from kiln.declare.rules import CommaList
from kiln.declare.shapes import Field, fields_of
from kiln.operations import ALL
from kiln.operations.filters import TagFilter
from kiln.operations.images.create_image import Input as CreateImage
from kiln.operations.images.describe_images import Input as DescribeImages
from kiln.operations.instances.describe_instance_status import Input as DescribeInstanceStatus
from kiln.operations.instances.describe_instances import Input as DescribeInstances
from kiln.operations.instances.run_instances import Input as RunInstances
from kiln.wire.decode import decode
from kiln.wire.doors import parameters
from tests.samples import Place, around, least, places, sample, siblings

PLACES = [place for operation in ALL for place in places(operation)]
LISTS = [place for place in PLACES if place.field.repeated]
OBJECTS = [place for place in PLACES if place.field.is_shape]
SINGLE = [place for place in PLACES if not (place.field.is_shape or place.field.repeated)]

R = {"RegionId": "r"}


def stem(place: Place) -> str:
    """A list's name without a number."""
    return place.under + place.field.wire


def content(place: Place) -> object:
    """What *place* may hold, as JSON has it."""
    field = place.field
    if field.is_shape:
        one: object = {inner.wire: sample(inner) for inner in fields_of(field.kind) if is_plain(inner)}
    else:
        one = json.loads(sample(field))[0] if sample(field)[:1] == "[" else sample(field).partition(",")[0]
    return [one, one] if field.repeated and two(place) else [one] if field.repeated else one


def is_plain(field: Field) -> bool:
    """Whether it is a single value that need not be declined."""
    if field.is_shape or field.repeated:
        return False
    value = {bool: True, str: sample(field)}.get(field.kind)
    return value is None or all(rule.allows(value) for rule in field.rules)


def two(place: Place) -> bool:
    return place.field.count is None or place.field.count.most > 1


def flat(name: str, value: object) -> dict[str, str]:
    """The documented spelling of a list or an object."""
    found: dict[str, str] = {}
    if isinstance(value, dict):
        for word, one in value.items():
            found |= flat(f"{name}.{word}", one)
    elif isinstance(value, list):
        for n, one in enumerate(value, 1):
            found |= flat(f"{name}.{n}", one)
    else:
        found[name] = str(value)
    return found


def beside(place: Place) -> dict[str, str]:
    """What else must be sent."""
    return {k: v for k, v in around(place).items() if not f"{k}.".startswith(stem(place) + ".")}


def understood(place: Place) -> object:
    return decode(place.shape, beside(place) | flat(stem(place), content(place)))


#: One of which nothing can be said, as every part of it is declined, has no spelling.
PLURAL = [p for p in PLACES if (p.field.is_shape or p.field.repeated) and flat(stem(p), content(p))]


def nested_body(name: str, value: object) -> dict[str, str]:
    """*value* as an array or an object of a JSON body, as doors write it."""
    top, *rest = name.split(".")
    for word in reversed(rest):
        value = [value] if word == "1" else {word: value}
    return parameters.of_json(json.dumps({top: value}).encode())


@pytest.mark.parametrize("place", PLURAL, ids=str)
def test_lists_and_objects_mean_the_same_however_they_are_spelled(place):
    meant, value = understood(place), content(place)
    default = decode(place.shape, beside(place)) if not place.field.required else None

    assert meant != default
    assert decode(place.shape, beside(place) | {stem(place): json.dumps(value)}) == meant
    assert decode(place.shape, beside(place) | nested_body(stem(place), value)) == meant
    assert decode(place.shape, beside(place) | {stem(place): json.dumps(value)} | flat(stem(place), value)) == meant
    if place.field.repeated and place.field.is_shape:
        each = {f"{stem(place)}.{n}": json.dumps(one) for n, one in enumerate(value, 1)}
        assert decode(place.shape, beside(place) | each) == meant
        assert decode(place.shape, beside(place) | each | flat(stem(place), value)) == meant
    if place.field.packed is CommaList:
        assert decode(place.shape, beside(place) | {stem(place): ",".join(value)}) == meant


def wrong_spellings(place: Place) -> Iterator[tuple[str, str]]:
    """Names and values that somebody might think of for *place*, and that say something."""
    name, head, field = stem(place), place.field.wire, place.field
    under = place.under
    ways = ["[0]", "[1]", "[]", " ", "1", "_1", "-1", "/1", ":1", ".x", ".01", ".-1", ".0", ".1.x.y.z",
            ".99999999999999999999", ".1" * 40, ". 1", "..1", ".1.", ".\u0661"]  # fmt: skip
    yield from ((name + way, "x") for way in ways)
    yield from ((f"{under}{other}.1", "x") for other in {head.lower(), head.upper(), head.swapcase()} - {head})
    if not field.packed:
        yield from ((name, text) for text in ("foo", "1", "a,b", "{", "[", '[["a"]]', '"a"', "[1", "[{}, null", "null"))
        yield name, "[" * 5000
        yield name, '["\\ud800"]'
        yield name, '{"Key": "a", "Key": "b"}'
        yield name, "[{'Key': 'a'}]"
    if field.is_shape:
        inner = next(f.wire for f in fields_of(field.kind) if not f.is_shape)
        first = name + (".1" if field.repeated else "")
        yield f"{first}.{inner.swapcase()}", "x"
        yield f"{first}.NoSuchPart", "x"
        yield f"{first}[{inner}]", "x"
        yield f"{name}[0].{inner}", "x"
        yield f"{name}{inner}", "x"
        yield f"{name}{inner}.1", "x"
        yield f"{name}s", "x"
        yield f"{name}s.1.{inner}", "x"
        yield f"{first}.{inner}.1.x", "x"
        if field.repeated:
            yield f"{name}.{inner}", "x"
            yield f"{name}.1", "foo"
            yield f"{name}.1", '{"NoSuchPart": "x"}'
            yield name, json.dumps({inner: "x"})
            yield name, '["x"]'
        else:
            yield name, json.dumps([{inner: "x"}])
            yield name, '{"NoSuchPart": "x"}'


@pytest.mark.parametrize("place", PLURAL, ids=str)
def test_what_touches_a_list_or_an_object_otherwise_is_refused(place):
    declared = {name for f in siblings_of(place) for name in (f.wire, *f.aliases)}
    for name, value in wrong_spellings(place):
        head = name.removeprefix(place.under).partition(".")[0]
        if head in declared and head != place.field.wire:
            continue  # Another parameter's own name.
        sent = {k: v for k, v in beside(place).items() if k != name} | {name: value}
        with pytest.raises(ApiError) as refused:
            decode(place.shape, sent)
        # It is told how to do it right, where the code is not a document's own for too many, or for no list.
        assert place.field.wire in str(refused.value) or refused.value.code != "InvalidParameter"


def siblings_of(place: Place) -> Iterator:
    shape = place.shape
    for word in place.under.split("."):
        if word and not word.isdigit():
            shape = next(f for f in fields_of(shape) if f.wire == word).kind
    return iter(fields_of(shape))


@pytest.mark.parametrize("place", SINGLE, ids=str)
def test_a_single_value_is_no_list_and_no_object(place):
    more = [(".1", "x"), ("[0]", "x"), (".x", "y"), (".[]", ""), (".{}", ""), (".1.Key", "x")]
    obeyed = [
        f"{place.name}{rest}"
        for rest, value in more
        if not is_refused(place, beside(place) | {f"{place.name}{rest}": value})
    ]
    assert obeyed == []


def is_refused(place: Place, sent: dict[str, str]) -> bool:
    try:
        decode(place.shape, sent)
    except ApiError:
        return True
    return False


@pytest.mark.parametrize("place", LISTS, ids=str)
def test_an_empty_list_is_not_the_absence_of_one(place):
    """It is the same however it is spelled; a required one is missed, and what a filter lets pass is nothing."""
    if place.field.required:
        return
    spelled = [{stem(place): "[]"}, nested_body(stem(place), []), {f"{stem(place)}.1": ""}]
    if place.field.is_shape or place.field.keeps_empty:
        spelled.pop()
    for sent in spelled:
        found = decode(place.shape, beside(place) | (siblings(place) if place.under else {}) | sent)
        for word in place.under.split("."):
            if word.isdigit():
                found = found[int(word) - 1]
            elif word:
                found = getattr(found, next(f.name for f in fields_of(type(found)) if f.wire == word))
        assert getattr(found, place.field.name) == ()


@pytest.mark.parametrize("place", [p for p in LISTS if p.operation.is_read and not p.field.accepted], ids=str)
def test_a_filter_can_tell_an_empty_list_from_none(place):
    assert place.field.required or place.field.default is None


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
def test_what_is_nobodys_name_is_ignored(operation):
    own = {field.wire for field in operation.parameters}  # Of policies for automatic snapshots, regionId is.
    nobodys = {"Nonsense", "Nonsense.1.Key", "Tagged", "ImageOwner", "X[0]", "SignatureType", "regionId", "Nonsense.[]"}
    given = least(operation.input)

    assert decode(operation.input, given | dict.fromkeys(nobodys - own, "x")) == decode(operation.input, given)


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
def test_no_parameter_is_taken_for_another_misspelled(operation):
    own = {name for f in operation.parameters for name in (f.wire, *f.aliases)}
    for shape in (operation.input, ClientTokenInput, DryRunInput, OwnerInput):
        others = own - {name for f in fields_of(shape) for name in (f.wire, *f.aliases)}
        given = least(shape)

        assert decode(shape, given | dict.fromkeys(others, "x")) == decode(shape, given)


@pytest.mark.parametrize(
    ("shape", "sent", "right"),
    [
        (CreateImage, {"Tag[0].Key": "a"}, "Tag.1.Key"),
        (CreateImage, {"Tag.1": "foo"}, "Tag.1.Key"),
        (CreateImage, {"tag.1.Key": "a"}, "Tag.1.Key"),
        (CreateImage, {"Tag.1.KEY": "a"}, "Tag.1.Key"),
        (CreateImage, {"Features": "v2"}, "Features.ImdsSupport"),
        (CreateImage, {"SnapshotId.1": "s-1"}, "SnapshotId, which is one value"),
        (DescribeInstanceStatus, {"InstanceId": "i-1"}, "InstanceId.1, InstanceId.2"),
        (DescribeInstances, {"InstanceIds[0]": "i-1"}, 'InstanceIds=["a","b"]'),
        (DescribeImages, {"Status[]": "Available"}, "Status=a,b"),
        (RunInstances, {"SystemDiskSize": "20"}, "SystemDisk."),
    ],
)
def test_a_refusal_shows_the_spelling_that_would_be_right(shape, sent, right):
    with pytest.raises(ApiError) as refused:
        decode(shape, least(shape) | R | sent)

    assert refused.value.code == "InvalidParameter"
    assert next(iter(sent)) in str(refused.value)
    assert right in str(refused.value)


def test_two_spellings_of_one_thing_must_agree():
    for name, value in [("Tag", '[{"Key":"a"}]'), ("Tag.1", '{"Key":"a"}')]:
        assert len(decode(CreateImage, R | {name: value, "Tag.1.Key": "a"}).tag) == 1
        for other in ({"Tag.1.Key": "b"}, {"Tag.1.Key": "a", "Tag.1.Value": "v"}):
            with pytest.raises(ApiError, match="twice"):
                decode(CreateImage, R | {name: value} | other)
    with pytest.raises(ApiError, match="twice"):
        decode(DescribeInstances, R | {"InstanceIds": '["a"]', "InstanceIds.1": "b"})


def test_types_of_json_are_read_as_texts():
    body = b'{"DryRun": true, "DiskDeviceMapping": [{"Size": 20, "Device": null}, null], "Description": null}'
    given = parameters.of_json(body)
    found = decode(CreateImage, R | given)

    assert (len(found.disk_device_mapping), found.disk_device_mapping[0].size) == (1, 20)
    assert found.disk_device_mapping[0].device is None
    assert found.description is None
    assert decode(DryRunInput, given).dry_run is True


@pytest.mark.parametrize("body", [b'{"Tag": [{"Key": null}]}', b'{"Tag": [{}]}'])
def test_a_filter_that_says_nothing_of_what_it_filters_by_is_not_dropped(body):
    assert decode(DescribeImages, R | parameters.of_json(body)).tag == (TagFilter(),)


@pytest.mark.parametrize("body", [b'{"Tag": []}', b'{"Tag": [null]}', b'{"Tag": [""]}'])
def test_a_filter_of_nothing_is_an_empty_one(body):
    assert decode(DescribeImages, R | parameters.of_json(body)).tag == ()


def test_an_empty_value_is_as_good_as_none():
    sent = {"Tag.1.NoSuchPart": "", "Tag[0].Key": "", "Tag": "", "SnapshotId.1": "", "Features.ImdsSupport": ""}

    assert decode(CreateImage, R | sent) == decode(CreateImage, R)


@pytest.mark.parametrize("place", [place for place in PLURAL if place.field.repeated], ids=str)
def test_an_element_of_number_0_is_told_where_numbers_begin(place):
    """That there were too many sent its caller to look for what to leave out."""
    name, plain = f"{stem(place)}.0", {}
    if place.field.is_shape:
        plain = {f"{name}.{next(f.wire for f in fields_of(place.field.kind) if not f.is_shape)}": "x"}

    with pytest.raises(InvalidParameter, match="the numbers of a list begin at 1") as refused:
        decode(place.shape, beside(place) | (plain or {name: "x"}))
    assert refused.value.facts["parameter"] == name
