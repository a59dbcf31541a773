"""Options are made of declarations: each parameter of an action that has a word can be said, or it is said why not."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from kiln.cli import spelling
from kiln.cli.declared import NOWHERE, Word
from kiln.cli.main import every_command, load
from kiln.client import catalogue
from tests.cli.test_main import command_of, said


def every_parameter() -> Iterator[str]:
    """The name of each parameter of each action, and of their parts."""
    known = catalogue.load()
    parts = [part for name in known.names for part in known.action(name).request.parts]
    while parts:
        part = parts.pop()
        yield part.name
        parts += part.parts


#: Words that ask the service and are not made of a declaration, and why.
BY_HAND = {
    "image show": "what it finds is shown whole, and one ID is all that it takes",
    "instance show": "what it finds is shown whole, and one ID is all that it takes",
    "snapshot show": "what it finds is shown whole, and one ID is all that it takes",
    "disk show": "what it finds is shown whole, and one ID is all that it takes",
    "launch-template show": "its template and its columns are all that there is to say",
    "launch-template set-default": "likewise, and the number of a version",
    "launch-template delete": "likewise; it is one of two actions",
    "task show": "what it finds is shown whole, and one ID is all that it takes",
    "instance shell": "it talks to a guest, and calls no action",
    "instance exec": "it asks for a command and how it ended, and its options are those of neither",
    "instance cp": "likewise, of a file",
    "security-group show": "it shows a row of the list",
    "instance console": "it asks again and again, or asks a socket and no action",
}
MANY = 30
LISTS = ("region types", *(f"{noun} list" for noun in ("image", "instance", "snapshot", "disk")))
#: Headings are shared by what runs an instance and by what says how one is to be run; not all of these know all.
ABSENT = {told: ["password"] for told in ("launch-template create", "launch-template add-version")}

#: Names that only the API has: actions, and parameters that are written as no word is.
OF_THE_API = {*catalogue.load().names} | {
    name for name in every_parameter() if re.search("[a-z0-9][A-Z]|[A-Z]{2}", name) and name != "ISP"
}
#: Values of an option, or a header, that are such names, too.
VALUES = {
    "image list": {"NetworkType"},
    "eip list": {"NetworkInterface", "IpAddress"},
    "task list": {"ImportImage", "ExportImage"},
    "account add-user": {"UserEmail"},
}
GROUPS = (
    *("image", "instance", "launch-template", "snapshot", "disk", "task", "tag", "region", "key-pair"),
    *("security-group", "resource-group"),
    *("snapshot-group", "snapshot-policy"),
)


def words() -> dict[str, Word]:
    """The words that are made of a declaration."""
    found = {told: getattr(command.callback, "__wrapped__", None) for told, command in every_command()}
    return {told: word for told, word in found.items() if isinstance(word, Word)}


def options_of(told: str) -> dict[str, str]:
    """The help of each option and argument, by the name that a program has for it."""
    command = load(told.split(maxsplit=1)[0])
    for word in told.split()[1:]:
        command = command.commands[word]
    return {option.name: option.help for option in command.params}


WORDS = words()


def test_every_word_of_a_resource_is_declared_or_is_said_not_to_be():
    of_resources = {told for told, _ in every_command() if told.split()[0] in GROUPS}

    assert of_resources - WORDS.keys() == BY_HAND.keys()


@pytest.mark.parametrize("told", WORDS)
def test_each_parameter_is_an_option_or_is_left_out_with_a_reason(told):
    takes = WORDS[told].takes
    options = options_of(told)
    shown = {it.path: it.spelled.variable for it in takes.taken}

    silent = [
        path for path, part in takes.parameters() if not takes.reason(path, part) and shown.get(path) not in options
    ]

    assert silent == []


@pytest.mark.parametrize("told", WORDS)
def test_what_a_word_says_of_parameters_is_said_of_parameters_that_there_are(told):
    takes = WORDS[told].takes
    known = {path for path, _ in takes.parameters()}
    known |= {f"{path}.{inner.name}" for path, part in takes.parameters() for inner in part.parts}
    known |= {path.partition(".")[0] for path in known}

    named = [*takes.names, *takes.defaults, *takes.own, *takes.left_out, *takes.arguments]

    assert [path for path in named if path not in known] == []


@pytest.mark.parametrize("told", WORDS)
def test_help_has_the_values_that_are_declared(told):
    options = options_of(told)

    untold = [
        (it.path, choice)
        for it in WORDS[told].takes.taken
        for choice in it.part.choices
        if choice not in options[it.spelled.variable]
    ]

    assert untold == []


@pytest.mark.parametrize("action", spelling.SAID)
def test_an_action_is_said_by_the_word_that_calls_it(action):
    assert WORDS[spelling.SAID[action]].takes.action == action


@pytest.mark.parametrize("told", [told for told, _ in every_command() if told != "call"])
def test_help_speaks_the_command_line_s_own_words(told):
    """`kiln launch-template create --help` said SecurityGroupId, and that DescribeInstanceTypes lists types."""
    command = command_of(tuple(told.split()))
    texts = [command.help, *(option.help for option in command.params)]

    found = re.findall(r"[A-Za-z]\w+", re.sub("`kiln call [^`]*`", "", " ".join(texts)))

    assert OF_THE_API & set(found) - VALUES.get(told, set()) == set()


@pytest.mark.parametrize("told", [told for told, word in WORDS.items() if word.takes.panels])
def test_a_heading_stands_over_options_that_there_are(told):
    titles = WORDS[told].takes.panels
    lines = said(*told.split(), "--help").stdout.splitlines()
    below = {title: lines[lines.index(f"{title}:") + 1 :] for title in titles}

    first = {title: below[title][0].split()[0] for title in titles}

    assert first == {title: f"--{options[0]}" for title, options in titles.items()}
    assert [f"--{it}" for it in itertools.chain(*titles.values()) if f"  --{it} " not in "\n".join(lines)] == [
        f"--{it}" for it in ABSENT.get(told, ())
    ]


def test_what_has_many_options_has_headings():
    """The image, without which nothing runs, stood after what is only remembered; in a list all are filters."""
    long = [told for told, word in WORDS.items() if len(options_of(told)) > MANY and not told.startswith(LISTS)]

    assert [told for told in long if not WORDS[told].takes.panels] == []


def test_what_no_word_has_is_a_parameter_of_some_action():
    known = catalogue.load()
    parameters = {part.name for name in known.names for part in known.action(name).request.parts}

    assert NOWHERE.keys() <= parameters


def test_all_that_create_image_takes_can_be_said():
    takes = WORDS["image create"].takes
    left = {path for path, part in takes.parameters() if takes.reason(path, part)}

    assert left == {
        "RegionId",
        "ClientToken",
        "DetectionStrategy",
        "OwnerId",
        "OwnerAccount",
        "ResourceOwnerId",
        "ResourceOwnerAccount",
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("image", "create", "--snapshot", "s", "--boot-mode", "CD"), "'CD' is none of BIOS, UEFI, UEFI-Preferred"),
        (("image", "create", "--disk", "colour=red"), "one of the names device, snapshot, size, type"),
        (("image", "create", "--disk", "type=odd"), "'odd' is none of system, data"),
        (("image", "create", "--disk", "size=big"), "size is a whole number"),
        (("image", "create", "--disk", "size=5,size=6"), "size is given twice"),
        (("image", "create", "--disk", "{"), "is no JSON object"),
        (("image", "create", "--snapshot", "s", "--tag", "=web"), "is not KEY=VALUE"),
        (("image", "list", "--status", "Available,Gone"), "'Gone' is none of Creating, Available"),
        (("instance", "run", "--image", "m", "--count", "101"), "'101' is no whole number from 1 to 100"),
        (("snapshot", "create", "d", "--retention-days", "-1"), "from 1 to 65536"),
        (("instance", "exec", "web", "--timeout", "9", "--", "true"), "9 is not in the range 10<=x<=86400"),
        (("image", "export", "m", "--format", "iso"), "'iso' is none of raw, vhd, qcow2, vmdk, vdi"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_says_what_would_be_right_before_anything_is_asked(words, told):
    result = said(*words, KILN_ENDPOINT="http://127.0.0.1:9")

    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


def test_hints_speak_the_command_line_s_words():
    """Who had said `kiln vpc delete` was told of DescribeSecurityGroups."""
    known = catalogue.load()
    gateway = {fault.code for fault in known.gateway}
    hints = {fault.hint for name in known.names for fault in known.action(name).faults if fault.code not in gateway}
    hints |= {fault.hint for fault in known.later}
    said = {hint: re.findall(r"[A-Za-z]\w+", re.sub("`kiln call [^`]*`", "", hint)) for hint in hints}

    assert {hint: wrong for hint, words in said.items() if (wrong := OF_THE_API.intersection(words))} == {}
