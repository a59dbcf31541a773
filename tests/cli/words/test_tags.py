from __future__ import annotations

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.cli.words.tags import TYPES
from kiln.client import catalogue


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("list",), "give --resource or --tag"),
        (("list", "--type", "instance"), "give --resource or --tag"),
        (("list", "--resource", "web"), "'web' is no ID that says what it is of: give --type with one of image,"),
        (("add", "m-1", "web", "--tag", "a=b"), "'web' is no ID that says what it is of: give --type with one of"),
        (("remove", "web", "--all"), "'web' is no ID that says what it is of: give --type with one of"),
        (("add", "m-1", "i-1", "--tag", "a=b"), "say by --type what they are"),
    ],
)
def test_says_what_is_missing(words, told):
    result = CliRunner(env={"TERMINAL_WIDTH": "300", "COLUMNS": "300"}).invoke(app, ["tag", *words])

    assert result.exit_code == exits.USAGE.number
    assert told in " ".join(result.stderr.split())


def test_names_the_types_that_the_action_knows():
    part = catalogue.load().action("TagResources").parameter("ResourceType")

    assert part is not None
    assert set(TYPES) <= set(part.choices)
