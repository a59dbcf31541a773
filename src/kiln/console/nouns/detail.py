"""One row of a noun: all that the API says of it, why it is as it is, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiln.client.reasons import FAILED, hint_of
from kiln.console.nouns.cells import cell, facts, is_moving
from kiln.console.nouns.missing import missing
from kiln.console.nouns.noun import Does, Noun
from kiln.console.visit import NotFound, Shown, Visit

_SAME = "Always "  #: How the help of a field begins that is the same in every answer.


def find(noun: Noun, visit: Visit, id: str) -> Mapping[str, Any]:  # noqa: A002 - it is what the API calls it.
    """The row of that ID. Raises NotFound, and what ``Client.call`` raises."""
    found = _row(noun, visit, id)
    if found is not None:
        return found
    others = [] if visit.catalogue.action(noun.action).parameter("RegionId") is None else visit.signed.regions
    elsewhere = (one for one in others if one != visit.signed.region and _row(noun, visit, id, RegionId=one))
    raise NotFound(missing(noun, visit, id, next(elsewhere, "")))


def _row(noun: Noun, visit: Visit, id: str, **more: str) -> Mapping[str, Any] | None:  # noqa: A002 - as above.
    action = visit.catalogue.action(noun.action)
    assert action.listing is not None
    outer, inner = action.listing
    asks = action.parameter(noun.asks)
    wants_list = asks is not None and (asks.is_repeated or asks.packed != "")
    answer = visit.call(noun.action, {**noun.fixed, **more, noun.asks: [id] if wants_list else id})
    rows: list[Mapping[str, Any]] = answer[outer.name][inner.name]
    return next((row for row in rows if str(row.get(noun.id)) == id), None)


def show(noun: Noun, visit: Visit) -> Shown:
    """The page of one row."""
    row = find(noun, visit, visit.args["id"])
    action = visit.catalogue.action(noun.action)
    assert action.listing is not None
    state = str(row.get(noun.state, ""))
    told = visit.told(str(row[noun.id])) if noun.state else {}
    all_facts = list(facts(action.listing[1].parts, row, noun))
    # What is so of all rows says nothing of this one.
    said = [one for one in all_facts if (one.cell.text or one.rows) and not one.doc.startswith(_SAME)]
    return {
        "noun": noun,
        "id": str(row[noun.id]),
        "name": str(row.get(noun.called, "")),
        "state": cell(noun.state, state, noun, row) if state else None,
        "chief": [one for one in said if one.cell.text and one.name in noun.columns and one.name not in _above(noun)],
        "facts": [one for one in said if not one.titles],
        "tables": [one for one in said if one.titles],
        "does": [one for one in noun.does if is_offered(one, state)],
        **_reasons(visit, told),
        "consistency": told.get("Consistency", ""),
        "is_moving": is_moving(noun, row),
    }


def _reasons(visit: Visit, told: Mapping[str, Any]) -> Mapping[str, list[Mapping[str, str]]]:
    """Why it is as it is: what has failed, with what to do where the catalogue knows that, and what still goes on."""
    reasons: list[Mapping[str, str]] = list(told["Reasons"]["Reason"]) if told else []
    failed = [one for one in reasons if one["State"] == FAILED]
    return {
        "failed": [{**one, "hint": hint_of(visit.catalogue, one)} for one in failed],
        "goes_on": [one for one in reasons if one not in failed],
    }


def _above(noun: Noun) -> tuple[str, ...]:
    """What stands at the head of the page already."""
    return noun.id, noun.called, noun.state


def is_offered(does: Does, state: str) -> bool:
    """Whether something can be done in that state."""
    return not does.states or state in does.states
