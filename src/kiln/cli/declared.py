"""The options of a word, made from the declaration of the action that it calls.

    @declared(app, "create", Takes("CreateSnapshot", arguments=("DiskId",)), example("..."))
    def create_snapshot(given: Given, *, wait_for_it: Wait = True) -> None: ...

A word says which action it calls, which parameters are its arguments, and where
an option is called otherwise or is the word's own. All else is read in the
catalogue when the word is said: an option's help is the parameter's doc, its
values and limits are the declared ones, and what is not given is not sent, so
that the service's defaults hold. ``kiln.cli.spelling`` says what an option is
called and how its value is written.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Annotated, Any

import typer

from kiln.cli import spelling
from kiln.cli.completing import Complete, of_choices, of_key_pairs, of_noun
from kiln.cli.naming import to_id
from kiln.cli.spelling import Spelled, is_switch, noun_of, spell
from kiln.client import catalogue
from kiln.client.catalogue import Part
from kiln.client.client import Client
from kiln.ground.values import dataclass

#: Parameters that are no option of any word, and why.
NOWHERE: Mapping[str, str] = {
    "RegionId": "every word has --region",
    "regionId": "every word has --region",
    "ClientToken": "the client makes one for each call",
    "PageNumber": "a listing shows all pages",
    "PageSize": "a listing shows all pages",
    "MaxResults": "a listing shows all pages",
    "NextToken": "a listing shows all pages",
}
#: How the rule of a parameter begins whose every other value is refused.
_ONLY_FALSE = "only absent, empty or false"
#: What is called by its name alone, and where that name is new.
_KEY_PAIRS, _MAKE = ("KeyPairName", "KeyPairNames"), ("CreateKeyPair", "ImportKeyPair")
_CHANGES_NOTHING = "a word that looks changes nothing, with it or without"


@dataclass(frozen=True)
class Taken:
    """A parameter that is an argument or an option of a word."""

    path: str
    part: Part
    spelled: Spelled
    inner: Mapping[str, str]  #: How the parts of a list's elements are called where not as the rule has it.


@dataclass(frozen=True)
class Takes:
    """What a word takes. Parameters of a parameter are named with a dot: ``SystemDisk.Size``."""

    action: str
    arguments: tuple[str, ...] = ()  #: Parameters that are given without a name, in their order.
    is_of_several: bool = False  #: Whether its one argument may be given several times, for a call each.
    names: Mapping[str, str] = field(default_factory=dict)  #: What an option is called where not as the rule has it.
    defaults: Mapping[str, str] = field(default_factory=dict)  #: What the word sends when nothing is given.
    own: Mapping[str, str] = field(
        default_factory=dict
    )  #: Parameters for which an option written by hand speaks, and which.
    left_out: Mapping[str, str] = field(default_factory=dict)  #: Parameters that are no option of this word, and why.
    found: tuple[str, ...] = ()  #: Required parameters that the word finds itself where they are not given.
    panels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Headings of its help, and which options stand under each, in this order; those of none stand behind them."""
    first: str = ""  #: A list whose first element has options of its own beside the list's.

    @cached_property
    def taken(self) -> list[Taken]:
        """The arguments in their order and then the options, those of an object one by one."""
        noun = catalogue.load().action(self.action).group.removesuffix("s")
        found = {
            path: Taken(path, part, spell(path, part, noun, self.names.get(path, "")), self._inner(path))
            for path, part in self.parameters()
            if not self.reason(path, part)
        }
        arguments = [found.pop(path) for path in self.arguments]
        return [*arguments, *found.values()]

    def parameters(self) -> Iterator[tuple[str, Part]]:
        """Every parameter of the action with its path; in place of an object its parts."""
        for part in catalogue.load().action(self.action).request.parts:
            if part.parts and not part.is_repeated:
                yield from ((f"{part.name}.{inner.name}", inner) for inner in part.parts)
            else:
                yield part.name, part
            if part.name == self.first:
                yield from ((f"{part.name}.{inner.name}", inner) for inner in part.parts)

    def is_of_first(self, path: str) -> bool:
        """Whether a parameter is a part of the first element that has options of its own."""
        return bool(self.first) and path.startswith(f"{self.first}.")

    def reason(self, path: str, part: Part) -> str:
        """Why a parameter is neither argument nor option of this word; empty when it is one."""
        whole = path.partition(".")[0]
        told = next((known[name] for known in (self.own, self.left_out) for name in (path, whole) if name in known), "")
        if path == "DryRun" and catalogue.load().action(self.action).is_read:
            return told or _CHANGES_NOTHING
        return told or NOWHERE.get(path, "") or _useless(part)

    def _inner(self, path: str) -> Mapping[str, str]:
        within = f"{path}."
        return {name.removeprefix(within): said for name, said in self.names.items() if name.startswith(within)}


@dataclass(frozen=True)
class Given:
    """What was said with a word, under the action's names; what was not is not in it."""

    takes: Takes
    params: Mapping[str, Any]
    several: tuple[str, ...] = ()  #: The argument's values, of a word that is of several.
    first: Mapping[str, Any] = field(default_factory=dict)  #: The parts of the first element of ``takes.first``.

    def resolved(self, client: Client) -> dict[str, Any]:
        """The parameters with the IDs of what was named. Raises Refusal for names that nothing or too much has."""
        return {name: _resolve(client, name, value) for name, value in self.params.items()}

    def id_of(self, client: Client, text: str) -> str:
        """The ID of one of the several."""
        (argument,) = self.takes.arguments
        return str(_resolve(client, argument, text))

    def call(self, client: Client, text: str) -> dict[str, Any]:
        """What the action answers for one of the several."""
        (argument,) = self.takes.arguments
        return client.call(self.takes.action, {**self.resolved(client), argument: self.id_of(client, text)})


def declared(app: typer.Typer, name: str, takes: Takes, epilog: str) -> Callable[[Callable[..., None]], Word]:
    """Make a function a word of *app*: its first parameter gets what is Given, the others are options of its own."""

    def add(run: Callable[..., None]) -> Word:
        word = Word(run, takes)
        app.command(name, epilog=epilog)(word)
        return word

    return add


class Word:
    """A function as typer wants it: its signature has an option for each parameter. It is made when it is asked for."""

    def __init__(self, run: Callable[..., None], takes: Takes) -> None:
        self.takes = takes
        self._run = run
        self.__name__ = run.__name__
        self.__doc__ = run.__doc__
        self.__annotations__: dict[str, Any] = {}

    @property
    def __signature__(self) -> inspect.Signature:
        _, *own = inspect.signature(self._run, eval_str=True).parameters.values()
        return inspect.Signature(_in_panels([*_parameters(self.takes), *own], self.takes.panels))

    def __call__(self, **said: Any) -> None:
        """Do the word with what was said."""
        params: dict[str, Any] = {}
        first: dict[str, Any] = {}
        several: tuple[str, ...] = ()
        for it in self.takes.taken:
            value = said.pop(it.spelled.variable)
            if self.takes.is_of_several and it.path in self.takes.arguments:
                several = tuple(value)
            elif value not in (None, [], ()) and not (value is False and is_switch(it.part)):
                outer, _, inner = it.path.partition(".")
                if self.takes.is_of_first(it.path):
                    first[inner] = value
                elif inner:
                    params.setdefault(outer, {})[inner] = value
                else:
                    params[outer] = value
        self._run(Given(self.takes, params, several, first), **said)


def _in_panels(
    parameters: list[inspect.Parameter], panels: Mapping[str, tuple[str, ...]]
) -> Sequence[inspect.Parameter]:
    """The parameters, those under headings first and in their order; each of these options knows its heading."""
    titles = {option: title for title, options in panels.items() for option in options}
    order = {option: n for n, option in enumerate(titles)}
    found = sorted(parameters, key=lambda it: order.get(_flag(it), len(order)))
    return [_under(it, titles[_flag(it)]) if _flag(it) in titles else it for it in found]


def _flag(parameter: inspect.Parameter) -> str:
    """What an option is called, without hyphens before it; what an argument is called in the program."""
    (info,) = parameter.annotation.__metadata__
    # In an annotation what would be the default is the first of the names.
    named = info.default if isinstance(info.default, str) else parameter.name
    return named.partition("/")[0].lstrip("-")


def _under(parameter: inspect.Parameter, title: str) -> inspect.Parameter:
    """The same option under a heading; others that have it may have no headings."""
    info = copy.copy(parameter.annotation.__metadata__[0])
    info.rich_help_panel = title
    return parameter.replace(annotation=Annotated[parameter.annotation.__origin__, info])


def _parameters(takes: Takes) -> Iterator[inspect.Parameter]:
    options = {it.path.rpartition(".")[2]: f"--{it.spelled.option}" for it in takes.taken}
    options |= {path: it.spelled.metavar for path in takes.arguments for it in takes.taken if it.path == path}
    for it in takes.taken:
        is_argument = it.path in takes.arguments
        info = (
            _argument(it, takes.action)
            if is_argument
            else _option(it, takes.action, options, takes.defaults.get(it.path))
        )
        is_list = it.part.is_repeated or (is_argument and takes.is_of_several)
        kind: Any = list[str] if is_list else spelling.kind(it.part)
        default: Any = takes.defaults.get(it.path)
        is_optional = takes.is_of_first(it.path) or it.path in takes.found
        is_needed = is_argument or (it.part.is_required and not is_optional)
        if default is None and is_needed:
            default = inspect.Parameter.empty
        elif default is not None and is_list:
            default = [default]
        annotation: Any = Annotated[kind if default is inspect.Parameter.empty else kind | None, info]
        yield inspect.Parameter(
            it.spelled.variable, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
        )


def _argument(it: Taken, action: str) -> Any:
    about = spelling.help_of(it.part, {}, it.inner, noun=noun_of(it.path))
    return typer.Argument(
        help=about,
        metavar=it.spelled.metavar,
        parser=spelling.parser(it.part, it.inner),
        autocompletion=_completing(it, action),
    )


def _option(it: Taken, action: str, options: Mapping[str, str], default: str | None) -> Any:
    return typer.Option(
        it.spelled.flags(it.part),
        help=spelling.help_of(it.part, options, it.inner, default=default, noun=noun_of(it.path)),
        metavar=None if it.part.type == "boolean" else it.spelled.metavar,
        parser=spelling.parser(it.part, it.inner),
        show_default=False,
        autocompletion=_completing(it, action),
    )


def _completing(it: Taken, action: str) -> Complete | None:
    if noun := noun_of(it.path):
        return of_noun(noun)
    if it.path in _KEY_PAIRS and not action.startswith(_MAKE):
        return of_key_pairs
    return of_choices(it.part.choices) if it.part.choices and not it.part.parts else None


def _useless(part: Part) -> str:
    """Why it is of no use to send a parameter; of an object, when that is so of all its parts."""
    refused = next((rule for rule in part.rules if rule.startswith(_ONLY_FALSE)), "")
    if part.no_effect or refused or not part.parts:
        return part.no_effect or refused
    reasons = [_useless(one) for one in part.parts]
    return reasons[0] if all(reasons) else ""


def _resolve(client: Client, name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _resolve(client, key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolve(client, name, inner) for inner in value]
    noun = noun_of(name)
    return to_id(client, noun, value) if noun and isinstance(value, str) else value
