"""Operations on networks beside what the official SDK of Vpc says of them, as it was read once: ``vpc.json``.

ECS's version of most of them is in its own SDK, and ``test_official_models`` holds
them to that. Here is what the Vpc product's version has more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiln.declare.operation import OwnerInput
from kiln.declare.products import VPC
from kiln.declare.shapes import Field, fields_of
from kiln.operations import ALL

KNOWN = json.loads(Path(__file__).with_name("vpc.json").read_text())["actions"]
OWN = [operation for operation in ALL if operation.product == VPC]

#: What is declared here and not there: ECS's version has it, or the dispatcher serves it everywhere.
MORE = {"DryRun", "ClientToken", *(field.wire for field in fields_of(OwnerInput))}
#: In ECS's version, and not in Vpc's any more.
OF_ECS = {"AllocateEipAddress.ActivityId", "ModifyVpcAttribute.UserCidr"}

_SCALARS = {bool: "bool", float: "float", int: "int", str: "str"}

by_name = pytest.mark.parametrize("operation", OWN, ids=lambda operation: operation.name)


@by_name
def test_parameters_have_the_names_and_types_of_the_sdk(operation):
    assert list(differences(operation.parameters, KNOWN[operation.name]["parameters"], operation.name)) == []


@by_name
def test_answers_have_the_names_and_types_of_the_sdk(operation):
    assert list(differences(fields_of(operation.output), KNOWN[operation.name]["answer"], operation.name)) == []


def differences(fields: tuple[Field, ...], known: dict[str, str], action: str, at: str = "") -> Iterator[str]:
    """Where *fields* and what is known differ, in words."""
    for field in fields:
        path = f"{at}{field.wire}"
        if field.wire in MORE or f"{action}.{path}" in OF_ECS:
            continue
        own = "object" if field.is_shape else _SCALARS[field.kind]
        own = f"list of {own}" if field.repeated and not field.packed else "str" if field.packed else own
        if known.get(path) != own:
            yield f"{action}.{path} is {own} here and {known.get(path, 'not')} there"
        if field.is_shape:
            yield from differences(fields_of(field.kind), known, action, f"{path}.")
