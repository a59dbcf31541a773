"""How a parameter of the API is spelled on the command line: what its option is called, and how its value is written.

ImageName            of an image's action: --name NAME
SystemDisk.Size      --system-disk-size N
SnapshotId           --snapshot SNAPSHOT, an ID, the beginning of one, or a name
Tag.N                --tag KEY=VALUE, one each time
DataDisk.N           --data-disk size=40,snapshot=ID, one each time; or the element as JSON
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import typer

from kiln.client.catalogue import Part
from kiln.ground.values import dataclass

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: A parameter's name in a doc: with a capital inside, or, since Size is a word too, after a small letter.
_NAME = re.compile(r"\b[A-Z][A-Za-z]*[a-z0-9][A-Z][A-Za-z]*\b(?:\.N)?|(?<=[a-z,] )[A-Z][a-z]+\b(?:\.N)?")
_AN_ID = re.compile(r"The ID of the \w+(?: \w+)?\.")
#: That a parameter goes with another, which may be no option of the word.
_NOT_WITH = re.compile(r"; not together with ([A-Za-z]+)(?:\.N)?| ?Not together with ([A-Za-z]+)(?:\.N)?\.")
_UNLESS_GIVEN = re.compile(r"\b[^.;]*when not given[.;]? ?")

#: What parameters are named for; their values are IDs, for which a name may stand.
_NOUNS = {
    "ImageId": "image",
    "InstanceId": "instance",
    "InstanceIds": "instance",
    "DiskId": "disk",
    "DiskIds": "disk",
    "diskIds": "disk",
    "ExcludeDiskId": "disk",
    "SnapshotId": "snapshot",
    "SnapshotIds": "snapshot",
    "VpcId": "vpc",
    "VSwitchId": "vswitch",
    "AllocationId": "eip",
    "SecurityGroupId": "security_group",
    "SecurityGroupIds": "security_group",
    "SourceGroupId": "security_group",
    "DestGroupId": "security_group",
    "SnapshotGroupId": "snapshot_group",
    "AutoSnapshotPolicyId": "snapshot_policy",
    "autoSnapshotPolicyId": "snapshot_policy",
    "ResourceGroupId": "resource_group",
    "TaskId": "task",
    "TaskIds": "task",
    "ResourceIds": "image",  # Of tasks; they work on images alone.
}

#: How the command line says the actions that docs name.
SAID: Mapping[str, str] = {
    "DeleteInstance": "instance delete",
    "DescribeInstanceTypes": "region types",
    "DescribeZones": "region zones",
    "RunInstances": "instance run",
}

#: What the command line says of itself: there a dry run that passes is no error.
_DOCS = {"DryRun": "Check only; nothing is changed"}

_PAIR = ("Key", "Value")
_KINDS: Mapping[str, type] = {"integer": int, "number": float, "boolean": bool}


@dataclass(frozen=True)
class Spelled:
    """An option or an argument: what it is called, without hyphens before it, and what its value is called."""

    option: str
    metavar: str

    @property
    def variable(self) -> str:
        """What the program calls it."""
        return self.option.replace("-", "_")

    def flags(self, part: Part) -> str:
        """As typer wants it declared: of what may be true or false, both words, unless false is what holds anyway."""
        return (
            f"--{self.option}" if part.type != "boolean" or is_switch(part) else f"--{self.option}/--no-{self.option}"
        )


def spell(path: str, part: Part, noun: str, name: str = "") -> Spelled:
    """The spelling of the parameter at *path* of an action of *noun*; *name* instead of what the rule makes of it."""
    outer, _, inner = path.partition(".")
    option = name or to_words(outer, noun)
    if inner and not name:
        option += "-" + to_words(inner, option.rpartition("-")[2])
    return Spelled(option, _metavar(path, part, option))


def to_words(name: str, noun: str = "") -> str:
    """``ImageName`` of an image as ``name``, ``KMSKeyId`` as ``kms-key``, ``IsPublic`` as ``public``."""
    words = _WORDS.sub("-", name).lower().replace("v-switch", "vswitch").split("-")
    if words[-1] in ("id", "ids") and len(words) > 1:
        return "-".join(words[:-1])
    if words[0] in (noun, "is") and len(words) > 1:
        del words[0]
    return "-".join(words)


def noun_of(name: str) -> str:
    """What the values of a parameter are IDs of: ``image``, ``instance``, ``disk``, ``snapshot``; empty for others."""
    return _NOUNS.get(name.rpartition(".")[2], "")


def kind(part: Part) -> type:
    """The Python type of one value."""
    return _KINDS.get(part.type, str)


def is_switch(part: Part) -> bool:
    """Whether it holds only when it is said."""
    return part.type == "boolean" and (part.default == "false" or part.name in _DOCS)


def parser(part: Part, names: Mapping[str, str]) -> Callable[[str], Any] | None:
    """What reads one value, where its text is not the value; raises typer.BadParameter. *names*: see ``keys``."""
    if is_pair(part):
        return _to_pair
    if part.parts:
        return lambda text: _to_element(text, part, names)
    if part.choices:
        return lambda text: _to_choice(text, part)
    if part.least is not None and part.most is not None:
        return lambda text: _to_number(text, part.least or 0, part.most or 0)
    return None


def is_pair(part: Part) -> bool:
    """Whether its elements are a key and a value, and nothing else."""
    return tuple(inner.name for inner in part.parts) == _PAIR


def keys(part: Part, names: Mapping[str, str]) -> dict[str, Part]:
    """The parts of a list's elements by how they are called; *names* has those that the rule does not make."""
    return {names.get(inner.name) or to_words(inner.name, "disk"): inner for inner in part.parts if not inner.no_effect}


def help_of(
    part: Part, options: Mapping[str, str], names: Mapping[str, str], *, default: str | None = None, noun: str = ""
) -> str:
    """What help says: the doc, with what *options* calls a parameter, and the rules that it does not tell itself."""
    doc = _DOCS.get(part.name) or _in_options(part.doc, options)
    if default is not None:
        doc = ". ".join(text[:1].upper() + text[1:] for text in _UNLESS_GIVEN.sub("", doc).split(". "))
    if noun:
        doc = _AN_ID.sub("", doc).strip() or f"The {noun.replace('_', ' ')}"
    said = [doc.rstrip("."), *([_ways(noun)] if noun else [])]
    said += [rule[:1].upper() + rule[1:] for rule in part.rules if not _is_told(rule, part)]
    if is_pair(part):
        said.append("May be repeated")
    elif part.parts:
        said.append(f"May be repeated; NAME=VALUE,... of {', '.join(map(_key, keys(part, names).items()))}; or JSON")
    elif part.is_repeated:
        said.append("May be repeated")
    if default is None and part.default not in doc and not is_switch(part):
        default = part.default
    if default:
        said.append(f"Default: {'yes' if default == 'true' else default}")
    return ". ".join(text for text in said if text) + "."


def _in_options(doc: str, options: Mapping[str, str]) -> str:
    """*doc* with options and words in place of parameters and actions, and nothing of those that cannot be said."""

    def said(found: re.Match[str]) -> str:
        name = found[0].removesuffix(".N")
        return f"`kiln {SAID[name]}`" if name in SAID else options.get(name, found[0])

    return _NAME.sub(said, _NOT_WITH.sub(lambda it: it[0] if (it[1] or it[2]) in options else "", doc))


def _ways(noun: str) -> str:
    return "An ID, or the beginning of one" if noun == "task" else "An ID, the beginning of one, or a name"


def _key(item: tuple[str, Part]) -> str:
    key, part = item
    return f"{key}={'|'.join(part.choices)}" if part.choices else key


def _is_told(rule: str, part: Part) -> bool:
    if rule.startswith("one of") and part.choices:
        return all(choice in part.doc for choice in part.choices)
    return rule in part.doc or (rule == "a whole number" and not part.choices)


def _metavar(path: str, part: Part, option: str) -> str:
    if noun := noun_of(path):
        return noun.rpartition("_")[2].upper()
    if is_pair(part):
        return "KEY=VALUE"
    if part.parts:
        return "SPEC"
    if part.doc.startswith("GiB"):
        return "GIB"
    if part.type in ("integer", "number"):
        return "N"
    return option.rpartition("-")[2].upper()


def _to_choice(text: str, part: Part) -> str:
    """The declared spelling of a value, or of several with commas between them where the wire packs them so."""
    known = {choice.lower(): choice for choice in part.choices}
    found = []
    for one in text.split(",") if part.packed == "comma" else [text]:
        if one.strip().lower() not in known:
            raise typer.BadParameter(f"{one!r} is none of {', '.join(part.choices)}")
        found.append(known[one.strip().lower()])
    return ",".join(found)


def _to_number(text: str, least: int, most: int) -> int:
    if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= most:
        raise typer.BadParameter(f"{text!r} is no whole number from {least} to {most}")
    return int(text)


def _to_pair(text: str) -> dict[str, str]:
    """``KEY=VALUE``; a key alone has no value, which of a filter means that any will do."""
    key, equals, value = text.partition("=")
    if not key:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE")
    return {"Key": key, "Value": value} if equals else {"Key": key}


def _to_element(text: str, part: Part, names: Mapping[str, str]) -> dict[str, Any]:
    """``size=40,snapshot=ID`` under the API's names; or the JSON of it, for values that hold a comma."""
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise typer.BadParameter(f"{text!r} is no JSON object: {error}") from None
        return dict(found)
    known = keys(part, names)
    element: dict[str, Any] = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if not equals or name not in known:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE with one of the names {', '.join(known)}")
        inner = known[name]
        if inner.name in element and not inner.is_repeated:
            raise typer.BadParameter(f"{name} is given twice")
        read = _to_choice(value, inner) if inner.choices else value
        if inner.type == "integer" and not re.fullmatch("[0-9]+", value):
            raise typer.BadParameter(f"{pair!r}: {name} is a whole number")
        element[inner.name] = [*element.get(inner.name, []), read] if inner.is_repeated else read
    return element
