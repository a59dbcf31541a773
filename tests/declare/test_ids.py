"""Identifiers, as clients read them."""

from __future__ import annotations

import uuid

from kiln.declare.ids import new_request_id


def test_a_request_id_is_an_upper_case_uuid_of_random_digits():
    made = {new_request_id() for _ in range(500)}

    assert len(made) == 500
    for one in made:
        read = uuid.UUID(one)
        assert (str(read).upper(), read.version, read.variant) == (one, 4, uuid.RFC_4122)
    assert {one[19] for one in made} == set("89AB")
