from __future__ import annotations

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app


def test_refuses_the_id_of_what_has_no_states():
    result = CliRunner().invoke(app, ["wait", "vpc-bp131n0q38u3a4zi9p2k"])

    assert result.exit_code == exits.USAGE.number
    assert "give --noun" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("words", "states"),
    [
        (("m-1", "--until", "Avail"), "Creating, Available, CreateFailed, Deprecated"),
        (("m-1", "--until", "Waiting"), "Creating, Available, CreateFailed, Deprecated"),
        (("base", "--noun", "image", "--until", "available"), "Creating, Available, CreateFailed, Deprecated"),
        (("s-1", "--until", "Available"), "progressing, accomplished, failed"),
        (("d-1", "--until", "Running"), "Creating, Available, Attaching, In_use, Detaching, ReIniting"),
        (("i-1", "--until", ""), "Pending, Starting, Running, Stopping, Stopped"),
        (("t-1", "--until", "Available"), "Processing, Finished, Failed"),
        (("i-1", "t-1", "--until", "Running"), "Processing, Finished, Failed"),
    ],
)
def test_refuses_a_state_that_never_comes_and_says_which_do(words, states):
    result = CliRunner(env={"TERMINAL_WIDTH": "300", "COLUMNS": "300"}).invoke(app, ["wait", *words])

    assert result.exit_code == exits.USAGE.number
    assert states in " ".join(result.stderr.split())
