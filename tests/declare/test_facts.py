"""What tasks remember: written with a version, read leniently, and what is on disk is read for ever."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from kiln.declare.facts import UnreadableFacts, dump, facts, read, version_of
from kiln.upkeep.duties import DUTIES

GOLDEN = Path(__file__).parents[1] / "golden" / "facts"
FILES = sorted(GOLDEN.glob("*/*.json"))


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    size: int = 0


@facts(version=2, older={1: lambda raw: raw | {"parts": [{"name": one} for one in raw["names"]]}})
class Facts:
    parts: tuple[Part, ...]
    note: str | None = None
    secrets: dict[str, str] = dataclasses.field(default_factory=dict)


def found(**raw) -> Facts:
    return read(Facts, json.dumps(raw))[0]


def test_reads_what_was_written():
    written = Facts(parts=(Part("a", 1), Part("b")), note="x", secrets={"key": "value"})

    assert read(Facts, dump(written)) == (written, {})


def test_has_defaults_for_what_is_missing():
    assert found(version=2, parts=[{"name": "a"}]) == Facts(parts=(Part("a"),))


def test_passes_over_what_is_not_known_and_keeps_it():
    read_back, unknown = read(Facts, json.dumps({"version": 2, "parts": [{"name": "a", "hue": 7}], "later": [1]}))

    assert read_back == Facts(parts=(Part("a"),))
    assert json.loads(dump(read_back, unknown))["later"] == [1]


def test_brings_an_older_version_to_the_newest():
    assert found(names=["a"]) == found(version=1, names=["a"]) == Facts(parts=(Part("a"),))


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "nonsense",
        "[]",
        "null",
        "[" * 100_000,
        '{"version": 3, "parts": []}',
        '{"version": 0, "parts": []}',
        '{"version": "2", "parts": []}',
        '{"version": true, "parts": []}',
        '{"version": 2}',
        '{"version": 2, "parts": {}}',
        '{"version": 2, "parts": ["a"]}',
        '{"version": 2, "parts": [{}]}',
        '{"version": 2, "parts": [{"name": 1}]}',
        '{"version": 2, "parts": [{"name": "a", "size": true}]}',
        '{"version": 2, "parts": [], "note": 1}',
        '{"version": 2, "parts": [], "secrets": {"a": 1}}',
        "{}",
        '{"names": 5}',
    ],
)
def test_refuses_what_it_cannot_be_sure_of(payload):
    with pytest.raises(UnreadableFacts):
        read(Facts, payload)


def test_does_not_tell_what_it_refuses():
    with pytest.raises(UnreadableFacts) as refused:
        found(version=2, parts=[], secrets={"password": ["hunter2"]})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_reads_what_any_version_left_on_disk(path):
    kind = DUTIES[path.parent.name].facts
    payload = path.read_text()

    known, unknown = read(kind, payload)

    assert unknown == {}
    assert read(kind, dump(known)) == (known, {})
    # Nothing of it is lost on the way: every ID that the old row named the new one names.
    assert texts(json.loads(payload)) <= texts(json.loads(dump(known)))


@pytest.mark.parametrize("action", DUTIES)
def test_a_file_shows_what_is_written_today(action):
    """When a shape changes, its file stays and a new one is added beside it: what the old one shows is on disks."""
    kind = DUTIES[action].facts
    shown = [path.read_text() for path in (GOLDEN / action).glob(f"{version_of(kind)}*.json")]
    exact = [payload for payload in shown if outline(payload) == outline(rewritten(kind, payload))]

    assert exact, f"{GOLDEN / action} needs a file with the facts of {action} as they are written now"


def test_every_file_is_of_an_action_that_is_known():
    assert {path.parent.name for path in FILES} <= DUTIES.keys()


def rewritten(kind: type, payload: str) -> str:
    return dump(read(kind, payload)[0])


def texts(value: object) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(texts(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(texts(one) for one in value))
    return {value} if isinstance(value, str) else set()


def outline(payload: str) -> object:
    """The names in it, without what is under them."""

    def of(value: object) -> object:
        if isinstance(value, dict):
            return {name: of(one) for name, one in value.items()}
        return [of(one) for one in value] if isinstance(value, list) else None

    return of(json.loads(payload))
