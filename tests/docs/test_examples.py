"""Examples say only what the program understands."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

import pytest

from bench import __main__ as bench
from kiln.cli.grammar import Leading
from kiln.cli.main import WORDS, load
from kiln.client import catalogue
from kiln.client.parameters import flatten
from tests.docs.pages import ROOT, commands, examples
from torment import __main__ as torment

_QUOTED = re.compile(r"(?<!`)`(?:\./)?kiln ([^`]+)`(?!`)")


def told() -> Iterator[str]:
    """The commands in backquotes that the program tells people to use: in errors' hints, in messages, in help."""
    for file in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from _QUOTED.findall(node.value)


COMMANDS = [pytest.param(words, id=" ".join(words)) for example in examples("sh") for words in commands(example.text)]
SCRIPTS = [pytest.param(example.text, id=f"{n} in {example.page}") for n, example in enumerate(examples("python"))]


def _calls(is_meant):
    """The calls in all scripts of functions whose names are meant; there must be some."""
    found = [
        pytest.param(node, id=ast.unparse(node.func))
        for script in SCRIPTS
        for node in ast.walk(ast.parse(script.values[0]))
        if isinstance(node, ast.Call) and is_meant(ast.unparse(node.func))
    ]
    assert found
    return found


#: Where the names that examples use for modules come from.
_MODELS = "alibabacloud_ecs20140526.models"


#: Words of the checkout, not of the program.
_CHECKOUTS = {"bench": bench.parser, "torment": torment.parser}


def understand(words: list[str], *, is_whole: bool = False) -> None:
    """Have the command line read these words, and do nothing; some command *is_whole*, not a group of them.

    Raises click's errors, KeyError.
    """
    name, *rest = words
    if words == ["--version"]:
        return  # It is said instead of a word.
    if name in _CHECKOUTS:
        _CHECKOUTS[name]().parse_args(rest)
        return
    assert name in WORDS
    command, context = load(name), None
    while hasattr(command, "commands") and rest:
        if isinstance(command, Leading) and rest[0] not in command.commands:
            rest = [next(iter(command.commands)), *rest]
        context = command.make_context(name, list(rest), parent=context)
        name, *rest = rest
        command = command.commands[name]
    if hasattr(command, "commands"):  # A group by itself prints what it has.
        assert not is_whole
    else:
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_is_understood(words):
    understand(words)


@pytest.mark.parametrize("command", sorted(set(told())))
def test_a_command_that_a_hint_or_a_message_names_is_understood(command):
    understand(command.split(), is_whole=True)


def test_hints_name_commands():
    """Else the test above would hold nothing."""
    hints = " ".join(fault.hint for name in catalogue.load().names for fault in catalogue.load().action(name).faults)

    hints += " ".join(fault.hint for fault in catalogue.load().later)
    assert set(_QUOTED.findall(hints)) <= set(told())
    assert _QUOTED.findall(hints)


@pytest.mark.parametrize("words", [p for p in COMMANDS if p.values[0][0] == "call" and "=" in p.values[0][-1]])
def test_a_call_names_parameters_that_there_are(words):
    action, *pairs = words[1:]

    flat = flatten(catalogue.load().action(action), dict(pair.split("=", 1) for pair in pairs))

    assert len(flat) == len(pairs)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_imports_what_there_is(script):
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("call", _calls(lambda name: name.startswith("models.")))
def test_a_script_gives_the_sdk_what_it_takes(call):
    model = getattr(importlib.import_module(_MODELS), ast.unparse(call.func).removeprefix("models."))

    assert {keyword.arg for keyword in call.keywords} <= set(inspect.signature(model).parameters)


@pytest.mark.parametrize("call", _calls(lambda name: name == "client.call"))
def test_a_script_calls_kiln_with_parameters_that_there_are(call):
    action = ast.literal_eval(call.args[0])
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}

    assert flatten(catalogue.load().action(action), given)
