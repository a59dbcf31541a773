"""What shells are told when Tab is pressed, asked as they ask."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kiln.cli import exits
from tests.cli.test_main import said
from tests.tools import wants

NOWHERE = {"KILN_ENDPOINT": "http://127.0.0.1:9", "KILN_ACCESS_KEY_ID": "id", "KILN_ACCESS_KEY_SECRET": "secret"}


def next_words(line: str) -> list[str]:
    """What bash would show after *line*."""
    words = line.split()
    at = len(words) if line.endswith(" ") else len(words) - 1
    asked = {"_KILN_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(at)}
    environment = {**os.environ, **NOWHERE, **asked}
    command = [sys.executable, "-m", "kiln.cli.main"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("kiln im", ["image"]),
        ("kiln image cr", ["create"]),
        ("kiln account keys ro", ["rotate"]),
        ("kiln image create --boot", ["--boot-mode"]),
        ("kiln image create --boot-mode ", ["BIOS", "UEFI", "UEFI-Preferred"]),
        ("kiln image create --boot-mode B", ["BIOS"]),
        ("kiln completion ", ["bash", "fish", "zsh"]),
        ("kiln env t", ["terraform"]),
        ("kiln run --as pa", ["packer"]),
    ],
)
def test_completes_what_is_declared(line, shown):
    assert sorted(next_words(line)) == shown


def test_says_nothing_where_no_service_answers():
    assert next_words("kiln image show ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_prints_what_the_shell_reads(shell):
    script = said("completion", shell).stdout

    assert f"_KILN_COMPLETE=complete_{shell}" in script
    wants(shell)
    subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_refuses_a_shell_that_it_does_not_know():
    result = said("completion", "csh")

    assert result.exit_code == exits.USAGE.number
    assert "'csh' is none of bash, zsh, fish" in result.stderr
