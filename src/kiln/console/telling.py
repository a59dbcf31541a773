"""Answers to scripts of our own pages: JSON, and a sentence where something was refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from kiln.client.client import AnswerBroken, ApiFailure
from kiln.client.transport import Unreachable
from kiln.console.asking import Answer
from kiln.console.visit import Visit

_BAD_REQUEST, _BAD_GATEWAY = 400, 502


def told(run: Callable[[Visit], Mapping[str, object]]) -> Callable[[Visit], Answer]:
    """A page's function whose answer is what *run* returns, or ``why`` the service refused it."""

    def answer(visit: Visit) -> Answer:
        try:
            return _spelled(200, run(visit))
        except ApiFailure as failure:
            why = " ".join(filter(None, (f"{failure.code}: {failure.message}", failure.hint)))
            return _spelled(failure.status, {"why": why})
        except ValueError as error:
            return _spelled(_BAD_REQUEST, {"why": str(error)})
        except (Unreachable, AnswerBroken) as error:
            return _spelled(_BAD_GATEWAY, {"why": str(error)})

    return answer


def _spelled(status: int, said: Mapping[str, object]) -> Answer:
    return Answer(status=status, body=json.dumps(said).encode(), kind="application/json")
