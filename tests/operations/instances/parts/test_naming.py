"""Names for several instances made at once."""

from __future__ import annotations

import pytest

from kiln.operations.instances.parts.naming import InvalidInstanceNameCustomMalformed, expand


@pytest.mark.parametrize(
    ("name", "expanded"),
    [
        ("web", ["web", "web"]),
        ("web[]", ["web000000", "web000001"]),
        ("web[,]", ["web000000", "web000001"]),
        ("web[9,]", ["web000009", "web000010"]),
        ("web[,3]", ["web000", "web001"]),
        ("web[9,2]-x", ["web09-x", "web10-x"]),
        ("web[1000,2]", ["web001000", "web001001"]),
    ],
)
def test_expands(name, expanded):
    assert expand(name, 2, unique=False) == expanded


@pytest.mark.parametrize(
    ("name", "expanded"),
    [
        ("web", ["web001", "web002"]),
        ("web[1,2]", ["web01", "web02"]),
        ("web[1,2]-x", ["web01-x001", "web02-x002"]),
    ],
)
def test_appends_a_suffix_where_no_number_ends_the_name(name, expanded):
    assert expand(name, 2, unique=True) == expanded


@pytest.mark.parametrize("name", ["web[7]", "web[a,]", "web[1,7]", "web[1,0]", "web[1, 2]", "web[", "a]b[", "a[][]"])
def test_refuses_other_forms(name):
    with pytest.raises(InvalidInstanceNameCustomMalformed):
        expand(name, 1, unique=False)
