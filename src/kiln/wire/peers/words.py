"""The questions between processes, and the answers: a line of JSON each.

A process of another version may be asked, or ask: what it does not know it refuses
in words, and what it adds is passed over. What comes is of a process of the
deployment, and still no more than bytes from outside.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kiln.calls.agents import Told
from kiln.calls.elsewhere import Reach
from kiln.ground.units import KiB
from kiln.ground.values import dataclass
from kiln.machines.port import Agent, Make

CONSOLE, AGENTS, REACH, TERMINAL, ARRIVAL = "console", "agents", "reach", "terminal", "arrival"

MOST_QUESTION = 64 * KiB  #: Bytes of a question: a hundred instances are named in 3 KiB.
MOST_ANSWER = 256 * KiB  #: Bytes of an answer: 64 KiB of a console are 86 KiB in Base64.
_MOST_INSTANCES = 100
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_NO_TIME = 253_402_300_800  #: Seconds since 1970 from which on no year has four digits: nothing can be told of then.
_MOST_WORDS = 500  #: Letters of a refusal, and of what an agent says of itself.


class NotUnderstood(Exception):
    """What came is no question or no answer; the message says what is wrong with it, for the log."""


class Refused(Exception):
    """The host cannot answer; the message is its reason."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked."""

    about: str  #: CONSOLE, AGENTS, REACH, TERMINAL, ARRIVAL, or what another version knows.
    instances: tuple[str, ...]
    make: Make | None = None  #: Of the machine that a guest leaves; of an ARRIVAL alone.

    @property
    def one(self) -> str:
        """The instance, of a question about one. Raises NotUnderstood."""
        if len(self.instances) != 1:
            raise NotUnderstood(f"a question about {self.about} is about one instance")
        return self.instances[0]


def line_of(question: Question) -> bytes:
    """A question as it is sent."""
    make = {} if question.make is None else {"make": vars(question.make)}
    return _line({"about": question.about, "instances": question.instances, **make})


def question_of(line: bytes) -> Question:
    """What was asked. Raises NotUnderstood."""
    told = _object(line)
    about, instances = told.get("about"), told.get("instances")
    if not isinstance(about, str) or not isinstance(instances, list) or len(instances) > _MOST_INSTANCES:
        raise NotUnderstood("it is no question about instances")
    # They become names of folders.
    if not all(isinstance(one, str) and _ID.fullmatch(one) for one in instances):
        raise NotUnderstood("what it is about has no ID of an instance")
    return Question(about=about, instances=tuple(instances), make=_make(told.get("make")))


def answer(found: Mapping[str, Any]) -> bytes:
    """An answer as it is sent; *found* is of one of the functions below."""
    return _line({"found": found})


def refusal(reason: str) -> bytes:
    """That there is no answer, as it is sent."""
    return _line({"refused": reason[:_MOST_WORDS]})


def found_in(line: bytes) -> Mapping[str, Any]:
    """What an answer has, to be read by one of the functions below. Raises NotUnderstood, Refused."""
    told = _object(line)
    if isinstance(told.get("refused"), str):
        raise Refused("".join(c for c in told["refused"][:_MOST_WORDS] if c.isprintable()))
    if not isinstance(told.get("found"), dict):
        raise NotUnderstood("it is no answer")
    found: Mapping[str, Any] = told["found"]
    return found


def console_told(printed: bytes) -> Mapping[str, Any]:
    """What a console has printed."""
    return {"printed": base64.b64encode(printed).decode()}


def console_of(found: Mapping[str, Any]) -> bytes:
    """As ``console_told`` had it. Raises NotUnderstood."""
    try:
        return base64.b64decode(_text(found.get("printed")), validate=True)
    except ValueError:
        raise NotUnderstood("what was printed is no Base64") from None


def agents_told(told: Mapping[str, Told]) -> Mapping[str, Any]:
    """What agents said."""
    return {"agents": [[name, one.agent.version, one.agent.runs_commands, one.at] for name, one in told.items()]}


def agents_of(found: Mapping[str, Any], asked: Sequence[str]) -> dict[str, Told]:
    """As ``agents_told`` had it, of those that were *asked* for. Raises NotUnderstood."""
    known = {}
    for one in _list(found.get("agents")):
        try:
            name, version, runs_commands, at = one
            said = Agent(version=_text(version)[:_MOST_WORDS], runs_commands=runs_commands is True)
            if not 0 <= at < _NO_TIME:
                raise NotUnderstood("it tells of no time")
            known[_text(name)] = Told(said, float(at))
        except (TypeError, ValueError, OverflowError):
            raise NotUnderstood("it tells of agents in another way") from None
    return {name: known[name] for name in asked if name in known}


def reach_told(reach: Reach) -> Mapping[str, Any]:
    """Where a guest is reached."""
    return {"network": reach.network, "ssh": reach.ssh, "ports": reach.ports, "still": reach.still}


def reach_of(found: Mapping[str, Any]) -> Reach:
    """As ``reach_told`` had it. Raises NotUnderstood."""
    try:
        ports = tuple((_text(address), int(guest), int(port)) for address, guest, port in _list(found.get("ports")))
    except (TypeError, ValueError, OverflowError):
        raise NotUnderstood("it tells of ports in another way") from None
    # One of an older version does not tell it.
    still = _text(found.get("still", ""))[:_MOST_WORDS]
    return Reach(network=_text(found.get("network")), ssh=_text(found.get("ssh")), ports=ports, still=still)


def arrival_told(way: object | None) -> Mapping[str, Any]:
    """That a machine waits; where there is a *way* to it, that goes by the connection from now on."""
    return {"comes": way is not None}


def arrival_of(found: Mapping[str, Any]) -> bool:
    """As ``arrival_told`` had it. Raises NotUnderstood."""
    if not isinstance(found.get("comes"), bool):
        raise NotUnderstood("it does not say how the guest comes")
    return bool(found["comes"])


def _make(told: Any) -> Make | None:
    if told is None:
        return None
    if not isinstance(told, dict):
        raise NotUnderstood("what a machine is made of is told in another way")
    program, board, engine = (_text(told.get(part))[:_MOST_WORDS] for part in ("program", "board", "engine"))
    return Make(program=program, board=board, engine=engine, is_cabled=told.get("is_cabled") is True)


def _line(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise NotUnderstood("it is no JSON") from None
    if not isinstance(told, dict):
        raise NotUnderstood("it is no object of JSON")
    return told


def _text(told: Any) -> str:
    if not isinstance(told, str):
        raise NotUnderstood("there is no text where one belongs")
    return told


def _list(told: Any) -> list[Any]:
    if not isinstance(told, list):
        raise NotUnderstood("there is no list where one belongs")
    return told
