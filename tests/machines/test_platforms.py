"""Which QEMU can do what."""

from __future__ import annotations

import pytest

from kiln.machines.platforms import platform_of, why_no_cable
from tests.tools import needs


def program(folder, said, status=0):
    path = folder / "qemu"
    path.write_text(f"#!/bin/sh\necho '{said}'\nexit {status}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", ""),
        ("QEMU emulator version 10.0.2", ""),
        ("QEMU emulator version 6.2.0 (Debian 1:6.2+dfsg-2ubuntu6)", "6.2, and instances' networks need 7.2"),
        ("something else", "does not say"),
    ],
)
def test_joins_cards_by_cables_from_the_version_on_that_can(tmp_path, said, reason):
    found = why_no_cable(program(tmp_path, said))

    assert reason in found
    assert bool(found) == bool(reason)


def test_one_that_fails_is_asked_again(tmp_path):
    one = program(tmp_path, "QEMU emulator version 7.2.0", status=1)
    assert why_no_cable(one)
    program(tmp_path, "QEMU emulator version 7.2.0")

    assert why_no_cable(one) == ""


def test_the_one_that_is_installed_says_its_version():
    needs("qemu-system-x86_64")

    assert "does not say" not in why_no_cable(platform_of("x86_64").require_program())
