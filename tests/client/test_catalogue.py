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

    both = catalogue.Catalogue(
        {"products": [product("A", "1"), product("B", "2")], "gateway": [], "later": [], "errors": {}}
    )

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


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("There is no room left in the pool: v-1 takes 4 MiB more than there are.", "`kiln status`"),
        ("The pool can't be written: Read-only file system", "`kiln doctor`"),
        ("The pool is damaged: there is no volume v-1 any more.", "`kiln fsck --no-repair`"),
    ],
)
def test_knows_by_what_is_said_what_to_do_about_what_no_action_declares(message, told):
    """A code that stands for much, of a task that any action may have begun."""
    assert told in catalogue.load().hint_later("StartInstance", "ServiceUnavailable", message)


@pytest.mark.parametrize("message", ["The request has failed due to a temporary failure of the server.", "", "no room"])
def test_knows_nothing_to_do_about_what_nothing_declared_says(message):
    assert not catalogue.load().hint_later("StartInstance", "ServiceUnavailable", message)


def test_knows_what_to_do_where_the_code_alone_tells():
    known = catalogue.load()

    assert known.hint_later("ImportImage", "ImportImageFailed", "x") == known.hint(
        "ImportImage", "ImportImageFailed", 0
    )


@pytest.mark.parametrize(
    ("template", "message", "is_said"),
    [
        ("It is on {host}, which says: {reason}.", "It is on h1, which says: no.", True),
        ("It is on {host}, which says: {reason}.", "It is on h1, which says: no", False),
        ("It is on {host}, which says: {reason}.", "It is on h1.", False),
        ("ab{x}ba", "aba", False),
        ("ab{x}ba", "abba", True),
        ("No.", "No.", True),
        ("No.", "No. ", False),
    ],
)
def test_knows_an_error_by_its_message(template, message, is_said):
    assert catalogue.Fault(code="X", message=template, status=400).is_said_by(message) is is_said
