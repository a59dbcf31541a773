"""Every name that the classic SDK's requests can have is taken, or is nobody's: none is refused as misspelled."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from kiln.declare.errors import ApiError
from kiln.declare.products import ECS
from kiln.operations import ALL
from kiln.wire.decode import decode
from tests.samples import least

_ADDED = re.compile(r"add_(?:query|body)_param\(((?:'[^']*'|\s*\+\s*|str\([^)]*\))+)\s*,")
_PIECES = re.compile(r"'([^']*)'|str\(")


def names(action: str) -> set[str]:
    """What the request of an action adds, lists as their first elements."""
    module = importlib.import_module(f"aliyunsdkecs.request.v20140526.{action}Request")
    return {
        "".join(piece.group(1) or "1" for piece in _PIECES.finditer(added))
        for added in _ADDED.findall(inspect.getsource(module))
    }


TWINS = [operation for operation in ALL if ECS in {key.product for key in operation.keys}]


@pytest.mark.parametrize("operation", TWINS, ids=lambda operation: operation.name)
def test_no_name_of_the_classic_sdk_is_refused(operation):
    known = names(operation.name)
    refused = []
    for name in known:
        try:
            decode(operation.input, least(operation.input) | {name: "x"})
        except ApiError as error:
            if "; write " in str(error) or ": write " in str(error):
                refused.append(str(error))

    assert known
    assert refused == []
