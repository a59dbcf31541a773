from __future__ import annotations

import string

import pytest

from kiln.declare.errors import ApiError
from kiln.wire import errors

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", ALL)
def test_is_named_for_its_code_and_says_when_it_is_raised(kind):
    assert kind.__name__.startswith(kind.code.replace(".", ""))
    assert kind.__doc__ != ApiError.__doc__
    assert kind.status in {400, 403, 404, 405, 413, 429}


@pytest.mark.parametrize("kind", ALL)
def test_fills_its_message_from_its_facts(kind):
    names = [name for _, name, _, _ in string.Formatter().parse(kind.message) if name]

    assert "fact" in str(kind(**dict.fromkeys(names, "fact"))) or not names


def test_is_listed_in_the_module_s_tree():
    assert [kind.__name__ for kind in ALL if kind.__name__ not in (errors.__doc__ or "")] == []
