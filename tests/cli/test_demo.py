from __future__ import annotations

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_makes_its_guest_of_what_is_in_the_cache_that_the_setting_names(tmp_path):
    """Here packages without a kernel, so that nothing is fetched and no machine is started."""
    (tmp_path / "cache" / "guest" / "root").mkdir(parents=True)

    result = CliRunner(env={"KILN_CACHE": str(tmp_path / "cache")}).invoke(app, ["demo"])

    assert result.exit_code == exits.UNSOUND.number
    assert "its packages hold no boot/vmlinuz" in result.stderr


def test_says_which_setting_cannot_be():
    result = CliRunner(env={"KILN_ACCEL": "xen"}).invoke(app, ["demo"])

    assert result.exit_code == exits.SETTINGS.number
    assert "accel must be one of" in result.stderr
