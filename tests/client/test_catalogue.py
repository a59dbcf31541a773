from __future__ import annotations

from kiln.client import catalogue
from kiln.operations import ALL


def test_names_every_operation_in_order():
    assert catalogue.load().names == tuple(operation.name for operation in ALL)


def test_tells_what_an_action_takes():
    action = catalogue.load().action("CreateImage")

    name = action.parameter("ImageName")

    assert name is not None
    assert name.rules[0].startswith("2 to 128 characters")
    assert action.is_idempotent
    assert action.leads_to == ("Creating", "Available")


def test_finds_a_part_by_a_deprecated_spelling():
    tag = catalogue.load().action("CreateImage").parameter("Tag")

    assert tag is not None
    assert tag.part("key") is tag.part("Key") is not None


def test_knows_what_to_do_about_an_error():
    hint = catalogue.load().hint("CreateImage", "InvalidRegionId.NotFound", 404)

    assert "DescribeRegions" in hint


def test_knows_what_to_do_about_an_error_of_the_gateway():
    hint = catalogue.load().hint("NoSuchAction", "InvalidTimeStamp.Expired", 400)

    assert "clock" in hint


def test_has_no_advice_for_a_code_that_it_does_not_know():
    assert catalogue.load().hint("CreateImage", "NoSuchCode", 400) == ""
