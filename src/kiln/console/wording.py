"""What the catalogue says, as a page has it: the words that a name is made of, and code within a sentence."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from kiln.console.texts import Texts

_WORD = re.compile(r"[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Each begins where nothing before it can, and ends before the next begins: a text may be long and somebody else's, and
# is read once, not again from each letter on.
_CODE = re.compile(r"(?<!`)(`+)(?!`)([^`]+)\1(?!`)")
_LINK = re.compile(r"\[([^\[\]]+)\]\([^()\s]+\)")
_SHORT = {"Id": "ID", "Ids": "IDs", "Ip": "IP", "Os": "OS", "Cidr": "CIDR", "Vpc": "VPC"}


def spelled(name: str) -> str:
    """A name of the API in words: ``Disk device mappings`` of ``DiskDeviceMappings``."""
    words = [_SHORT.get(word, word if word.isupper() else word.lower()) for word in _WORD.findall(name)]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def label(texts: Texts, name: str) -> str:
    """What stands above a field of an answer: its text, or its name in words where it was given none."""
    return texts.find(f"column.{name}") or spelled(name)


def deed(texts: Texts, name: str) -> str:
    """What is done by an action, or by a task that no action is called as: its text, or its name in words."""
    return texts.find(f"do.{name}") or texts.find(f"deed.{name}") or spelled(name)


def status(texts: Texts, name: str) -> str:
    """A state in the visitor's language; as the API has it where nobody has said it."""
    return texts.find(f"state.{name}") or name


def disk_type(texts: Texts, name: str) -> str:
    """What a disk is to its instance: as the API has it where nobody has said it."""
    return texts.find(f"disk_type.{name}") or name


def part(texts: Texts, name: str) -> str:
    """A part of the service that its health tells of; as the service calls it where nobody has said it."""
    return texts.find(f"part.{name}") or name


def prose(text: object) -> Markup:
    """A sentence with what stands in backticks as code. All else is escaped, what stands in them too.

    Links of the reference lead to its pages, which a console has not: of those the words are left.
    """
    return Markup(_CODE.sub(r"<code>\2</code>", str(escape(_LINK.sub(r"\1", str(text))))))  # noqa: S704 - as it says.


def bare(text: object) -> str:
    """The same without any marks, for what shows words alone."""
    return _CODE.sub(r"\2", _LINK.sub(r"\1", str(text)))
