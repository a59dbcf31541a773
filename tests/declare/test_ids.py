"""Identifiers, as clients read them."""

from __future__ import annotations

import re
import uuid

from kiln.declare.ids import PREFIXES, new_id, new_request_id, pattern


def test_a_request_id_is_an_upper_case_uuid_of_random_digits():
    made = {new_request_id() for _ in range(500)}

    assert len(made) == 500
    for one in made:
        read = uuid.UUID(one)
        assert (str(read).upper(), read.version, read.variant) == (one, 4, uuid.RFC_4122)
    assert {one[19] for one in made} == set("89AB")


def test_an_id_has_the_form_of_its_noun_and_of_no_other():
    for noun in PREFIXES:
        made = new_id(noun)
        assert [other for other in PREFIXES if re.fullmatch(pattern(other), made)] == [noun]
        assert not re.fullmatch(pattern(noun), made[:-1])
        assert re.fullmatch(pattern(noun, least=0), made[:-1])
        assert not re.fullmatch(pattern(noun, least=0), made + "0")
