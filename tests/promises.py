"""What every call in every test is held to, whatever the test is about.

An operation raises only what it declares, and answers in the shape and the
types that it declares. Which declared errors tests have met is remembered, so
that the end of a whole run (``tests.judge``) can name those that none has.
"""

from __future__ import annotations

from typing import Any

from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.shapes import Field, fields_of
from kiln.wire.dispatch import errors_of
from tests.catalogue import BY_NAME

#: (operation, name of the error's class) pairs that some test has met.
MET: set[tuple[str, str]] = set()


def name_of(error: type[ApiError]) -> str:
    """The class's whole name, which one worker of a run in parallel can tell another."""
    return f"{error.__module__}.{error.__name__}"


def met(action: str, error: ApiError) -> None:
    """Note that *action* was refused with *error*, which it must have declared."""
    operation = BY_NAME.get(action)
    if operation is None:
        return
    MET.add((action, name_of(type(error))))
    # The decoder itself says InvalidParameter: to a text where a number belongs, and to a NUL.
    if type(error) is not InvalidParameter and type(error) not in errors_of(operation):
        raise AssertionError(
            f"{action} was refused with {name_of(type(error))}, which it does not declare: {error}"
        ) from error


def met_later(action: str, code: str) -> None:
    """Note that a task of *action* was given up with *code*, for the errors that are found as it is carried out."""
    operation = BY_NAME.get(action)
    if operation is not None:
        MET.update((action, name_of(error)) for error in operation.errors if error.code == code)


def check_answer(output: type, answer: dict[str, Any], at: str = "") -> None:
    """That *answer* has the fields that *output* declares, all of them, in their types, and no others."""
    fields = {field.wire: field for field in fields_of(output)}
    assert set(answer) <= set(fields), f"{at or output.__module__} answers with {set(answer) - set(fields)}"
    for name, field in fields.items():
        place = f"{at}.{name}" if at else name
        assert name in answer or not field.required, f"{place} is declared and not answered"
        if name in answer:
            _check_value(field, answer[name], place)


def _check_value(field: Field, value: Any, place: str) -> None:
    if field.repeated:
        assert isinstance(value, list), f"{place} is not a list"
        for one in value:
            _check_one(field, one, place)
    else:
        _check_one(field, value, place)


def _check_one(field: Field, value: Any, place: str) -> None:
    if field.is_shape:
        check_answer(field.kind, value, place)
    else:
        # What has come over the wire is a plain dict.
        kind = dict if issubclass(field.kind, dict) else field.kind
        assert isinstance(value, kind), f"{place} is declared as {field.kind.__name__}, and {value!r}"
        # To Python, a truth value is a number; to a client it is none.
        assert field.kind is bool or not isinstance(value, bool), f"{place} is {value!r}"
