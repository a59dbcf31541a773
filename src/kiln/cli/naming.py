"""From what a person calls a resource to its ID: the ID itself, a name, or a beginning of an ID that no other has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import islice
from typing import Any

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.cli.session import said_in
from kiln.client import catalogue
from kiln.client.catalogue import Part
from kiln.client.client import Client
from kiln.declare.ids import PREFIXES, pattern
from kiln.declare.letters import compose
from kiln.ground.values import dataclass

#: Of more, telling all would help nobody.
_SHOWN = 5


@dataclass(frozen=True)
class Named:
    """Where the names and the IDs of a noun are found."""

    action: str
    id: str
    name: str  #: Empty for what has none.
    more: Mapping[str, str]
    own: Mapping[str, str] = field(default_factory=dict)  #: What leaves out that of others, where the list has it.
    asked: str = ""  #: The parameter that asks for a name, where it is not called as the name is.


NAMED: Mapping[str, Named] = {
    "image": Named("DescribeImages", "ImageId", "ImageName", {"Status": "ALL"}, {"ImageOwnerAlias": "self"}),
    "instance": Named("DescribeInstances", "InstanceId", "InstanceName", {}),
    "disk": Named("DescribeDisks", "DiskId", "DiskName", {}),
    "snapshot": Named("DescribeSnapshots", "SnapshotId", "SnapshotName", {}),
    "vpc": Named("DescribeVpcs", "VpcId", "VpcName", {}),
    "vswitch": Named("DescribeVSwitches", "VSwitchId", "VSwitchName", {}),
    "eip": Named("DescribeEipAddresses", "AllocationId", "Name", {}, asked="EipName"),
    "security_group": Named("DescribeSecurityGroups", "SecurityGroupId", "SecurityGroupName", {}),
    "snapshot_group": Named("DescribeSnapshotGroups", "SnapshotGroupId", "Name", {}),
    "snapshot_policy": Named("DescribeAutoSnapshotPolicyEx", "AutoSnapshotPolicyId", "AutoSnapshotPolicyName", {}),
    "launch_template": Named(
        "DescribeLaunchTemplates", "LaunchTemplateId", "LaunchTemplateName", {}, asked="LaunchTemplateName.1"
    ),
    "resource_group": Named("ListResourceGroups", "Id", "Name", {}),
    "task": Named("DescribeTasks", "TaskId", "", {}),
}


def to_id(client: Client, noun: str, text: str, *, by_name: bool = True) -> str:
    """The ID of the *noun* that *text* names. A whole ID is not looked up. Raises Refusal with what it could mean.

    Without *by_name* it is an ID or the beginning of one: for who guessed the noun from the text.
    """
    if is_id(noun, text):
        return text
    how, text = NAMED[noun], compose(text)  # As the service keeps names: a terminal may send an é as two characters.
    # Own ones before those of others, so that nobody who shares something takes a name away.
    found = list(dict(_matches(client, noun, text, how.own, by_name=by_name)).items())
    if how.own and not found:
        found = list(dict(_matches(client, noun, text, {}, by_name=by_name)).items())
    if len(found) == 1:
        return found[0][0]
    if found:
        raise ambiguous(text, found, f"{said_of(noun)}s", f"any {said_of(noun)}")
    if region := region_of(client, noun, text):
        raise Refusal(
            f"there is no {said_of(noun)} {text!r} in {client.region}", exits.REFUSED, in_region(text, region)
        )
    like = ", ".join(f"{row[how.name]} ({row[how.id]})" for row in _alike(client, how, text))
    hint = (
        f"Alike: {like}." if like else f"`{said_in(client, f'kiln {word_of(noun)} list')}` shows those that there are."
    )
    message = f"there is no {said_of(noun)} {text!r}, by its ID, its name or the beginning of its ID"
    raise Refusal(message, exits.REFUSED, hint)


def region_of(client: Client, noun: str, text: str) -> str:
    """The other region of the service in which a *noun* has this ID or name; empty where none has.

    Raises what ``Client.call`` raises. It asks each region: for who would say else that there is nothing.
    """
    how, known = NAMED[noun], catalogue.load()
    listing = known.action(how.action)
    if is_id(noun, text):
        asked = listing.parameter(how.id) or listing.parameter(f"{how.id}s")
        given: dict[str, Any] = {} if asked is None else {asked.name: [text] if _is_list(asked) else text}
    else:
        given = {how.asked or how.name: text} if how.name and text and "*" not in text else {}
    if not given or not client.region or listing.parameter("RegionId") is None:
        return ""
    others = [str(row["RegionId"]) for row in client.rows("DescribeRegions") if row["RegionId"] != client.region]
    for region in others:
        if next(client.rows(how.action, {**how.more, **given, "RegionId": region}), None) is not None:
            return region
    return ""


def in_region(text: str, region: str) -> str:
    """The advice to who looked for *text* in another region than it is in."""
    return f"{text} is in {region}: `--region {region}` looks there."


def _is_list(part: Part) -> bool:
    return bool(part.packed) or part.is_repeated


def said_of(noun: str) -> str:
    """What people call a noun: ``security group``."""
    return noun.replace("_", " ")


def word_of(noun: str) -> str:
    """The word of the command line for a noun: ``security-group``."""
    return noun.replace("_", "-")


def ambiguous(text: str, found: Sequence[tuple[str, str]], nouns: str, any_of_them: str) -> Refusal:
    """That *text* names several *nouns*: their IDs, each with what is said of it."""
    shown = "".join(f"\n  {one}  {name}".rstrip() for one, name in found[:_SHOWN])
    rest = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    message = f"{text!r} is the name, or the beginning of the ID, of {len(found)} {nouns}:{shown}{rest}"
    return Refusal(message, exits.REFUSED, f"Give more of the ID: nothing was done with {any_of_them}.")


def type_of(noun: str) -> str:
    """The ResourceType of a noun."""
    return noun.replace("_", "")


def noun_of_type(told: str) -> str:
    """The noun of a ResourceType; empty for what has no names to look up."""
    return next((noun for noun in NAMED if type_of(noun) == told), "")


def is_id(noun: str, text: str) -> bool:
    """Whether *text* has the form of a whole ID."""
    return re.fullmatch(pattern(noun), text) is not None


def noun_by_id(text: str) -> str:
    """What *text* is an ID of, or the beginning of one, by its prefix; empty for what has the prefix of none."""
    prefix, hyphen, _ = text.partition("-")
    return next((noun for noun in NAMED if hyphen and PREFIXES[noun] == prefix), "")


def rows(client: Client, noun: str, **more: Any) -> Iterator[dict[str, Any]]:
    """Every resource of a noun."""
    how = NAMED[noun]
    return client.rows(how.action, {**how.more, **more})


def _matches(
    client: Client, noun: str, text: str, whose: Mapping[str, str], *, by_name: bool
) -> Iterator[tuple[str, str]]:
    """IDs with names: of what is called *text*, and of what has an ID that begins so."""
    how = NAMED[noun]
    if by_name and how.name and text and "*" not in text:
        # In a filter by name a star stands for others, and no name has one; what has no name is not called that.
        named = rows(client, noun, **{how.asked or how.name: text, **whose})
        yield from ((row[how.id], row[how.name]) for row in named if row[how.name] == text)
    if re.fullmatch(pattern(noun, least=0), text):
        everything = rows(client, noun, **whose)
        yield from ((row[how.id], row.get(how.name, "")) for row in everything if row[how.id].startswith(text))


def _alike(client: Client, how: Named, text: str) -> Iterable[dict[str, Any]]:
    """Some of what has *text* in its name, small or capital."""
    if not how.name:
        return ()
    everything = client.rows(how.action, how.more)
    return list(islice((row for row in everything if text.lower() in row[how.name].lower()), _SHOWN))
