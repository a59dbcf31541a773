"""What is done: the form, what would happen (a dry run of the same request), and then the request itself."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from kiln.client.catalogue import Action
from kiln.client.client import ApiFailure
from kiln.client.parameters import ParameterRefused
from kiln.console.asking import Answer, go_to
from kiln.console.nouns.detail import find
from kiln.console.nouns.fields import MORE_OF, Fields, is_secret, of_action, to_params
from kiln.console.nouns.noun import PLACES, Does, Noun
from kiln.console.nouns.offers import of_fields
from kiln.console.recipes import of_request
from kiln.console.visit import Shown, Visit

_TOKEN = "client_token"  # noqa: S105 - the field's name.


def ask(noun: Noun, does: Does, visit: Visit) -> Shown:
    """The form with what is suggested; what stands in the URL is filled in, so that a link can say what it is about."""
    action, fixed, row = _about(noun, does, visit)
    filled = {**does.suggested, **dict(visit.asked.query)}
    return _shown(noun, does, visit, row, fields=of_action(action, does, fixed, filled))


def do(noun: Noun, does: Does, visit: Visit) -> Shown | Answer:
    """The form that was filled in: first as a dry run where the action has one, then, once more pressed, in earnest."""
    action, fixed, row = _about(noun, does, visit)
    typed = {name: text for name, text in visit.asked.form if text and is_secret(action, name)}
    held = visit.signed.hold(visit.asked.given(_TOKEN), typed)
    params = {**to_params(action, visit.asked.form), **held, **fixed}
    filled = of_action(action, does, fixed, dict(visit.asked.form))
    if visit.asked.given(MORE_OF):
        return _shown(noun, does, visit, row, fields=filled, grown=True)
    is_sure = bool(visit.asked.given("is_sure"))
    try:
        if not is_sure and action.dry_run and action.parameter("DryRun") is not None:
            _passes(visit, action, params)
            would = _without_secrets(action, params)
            recipes = of_request(action, would, visit.signed.region)
            return _shown(noun, does, visit, row, fields=filled, would=would, recipes=recipes)
        if action.is_idempotent:
            params["ClientToken"] = visit.asked.given(_TOKEN) or uuid.uuid4().hex
        answer = visit.call(does.action, params)
    except ApiFailure as failure:
        # While a form is being filled in, what is missing is still to come.
        is_early = _is_live(visit) and failure.code.startswith("Missing")
        return _shown(noun, does, visit, row, fields=filled, failure=None if is_early else failure)
    except ParameterRefused as refused:
        return _shown(noun, does, visit, row, fields=filled, refused=str(refused))
    visit.signed.held.pop(visit.asked.given(_TOKEN), None)
    for sentence in does.tells(visit, row) if does.leaves and does.tells is not None else ():
        visit.say(sentence)
    visit.say(visit.texts("do.done", what=visit.texts(f"do.{does.called}"), request=str(answer.get("RequestId", ""))))
    return go_to(_after(noun, does, visit, answer))


def _passes(visit: Visit, action: Action, params: Mapping[str, Any]) -> None:
    """Ask the API about a request that it is not to do. Raises what ``Client.call`` raises, but for what says yes."""
    try:
        visit.call(action.name, {**params, "DryRun": True})
    except ApiFailure as failure:
        if failure.code != action.dry_run:
            raise


def _about(noun: Noun, does: Does, visit: Visit) -> tuple[Action, dict[str, str], Mapping[str, Any]]:
    """The action, what it is given beside the form, and the row that it is about, if there is one. Raises NotFound."""
    action = visit.catalogue.action(does.action)
    id = visit.args.get("id", "")  # noqa: A001 - it is what the API calls it.
    if not id:
        return action, dict(does.fixed), {}
    row = find(noun, visit, id)
    given_by = does.given_by or {noun.id: noun.id}
    return action, {**does.fixed, **{name: str(row.get(by, "")) for name, by in given_by.items()}}, row


def _shown(noun: Noun, does: Does, visit: Visit, row: Mapping[str, Any], *, fields: Fields, **more: Any) -> Shown:
    action = visit.catalogue.action(does.action)
    id = visit.args.get("id", "")  # noqa: A001 - as above.
    at = f"{noun.at}/{quote(id, safe='')}/{does.called}" if id else f"{noun.at}/{does.called}"
    return {
        "noun": noun,
        "does": does,
        "action": action,
        "id": id,
        "name": str(row.get(noun.called, "")),
        "at": at,
        "fields": fields,
        "offers": of_fields(visit, fields.first),
        "client_token": visit.asked.given(_TOKEN) or uuid.uuid4().hex,
        "failure": None,
        "refused": "",
        "would": None,
        "grown": False,
        "is_live": _is_live(visit),
        "recipes": [],
        "told": does.tells(visit, row) if does.tells is not None else [],
        **more,
    }


def _after(noun: Noun, does: Does, visit: Visit, answer: Mapping[str, Any]) -> str:
    """Where to look next: at what was made, at what was changed, or at the list."""
    if does.made:
        return _made(does.made.split("."), answer)
    made = answer.get(noun.id) if "id" not in visit.args else visit.args["id"]
    if does.leaves or not isinstance(made, str):
        return noun.at
    return f"{noun.at}/{quote(made, safe='')}"


def _made(words: Sequence[str], answer: Any) -> str:
    for word in words:
        answer = answer[word]
    first = answer[0] if isinstance(answer, list) else answer
    return f"/{PLACES[words[-1]]}/{quote(str(first), safe='')}"


def _is_live(visit: Visit) -> bool:
    """Whether a script asks while the form is being filled in."""
    return "hx-request" in visit.asked.headers


def _without_secrets(action: Action, params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if not is_secret(action, name)}
