from __future__ import annotations

import pytest

from kiln.client import catalogue
from kiln.operations import titled


def test_names_every_operation_in_order():
    assert catalogue.load().names == tuple(titled())


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

    assert "`kiln region list`" in hint


def test_knows_what_to_do_about_an_error_of_the_gateway():
    hint = catalogue.load().hint("NoSuchAction", "InvalidTimeStamp.Expired", 400)

    assert "clock" in hint


def test_has_no_advice_for_a_code_that_it_does_not_know():
    assert catalogue.load().hint("CreateImage", "NoSuchCode", 400) == ""


def test_finds_an_action_by_its_name_and_by_its_product_too():
    known = catalogue.load()

    assert known.action("Ecs:CreateImage") == known.action("CreateImage")
    assert "Vpc:CreateImage" not in known


def test_takes_of_two_products_the_first_one_s_action_unless_the_other_is_named():
    def product(name: str, version: str) -> dict:
        return {"name": name, "version": version, "operations": {"Make": {"group": "g", "summary": name}}}

    both = catalogue.Catalogue({"products": [product("A", "1"), product("B", "2")], "gateway": [], "errors": {}})

    assert [both.action(name).version for name in ("Make", "A:Make", "B:Make")] == ["1", "1", "2"]
    assert both.names == ("Make", "B:Make")


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("ImportImage", "InvalidImageFormat.Malformed"),
        ("ImportImage", "ImportImageFailed"),
        ("ExportImage", "ExportImageFailed"),
    ],
)
def test_knows_what_to_do_about_what_fails_later(action, code):
    """The console's first page, and who waits for a task, are told the code alone."""
    assert catalogue.load().hint(action, code, 0)
