"""What a user has lost and finds again, by the words alone, before a service that runs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from kiln.cli import exits

pytestmark = pytest.mark.slow

KILN = [sys.executable, "-P", "-u", "-m", "kiln.cli.main"]


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KILN_")} | more


def said(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KILN, *words], env=environment(**more), capture_output=True, text=True, check=False, timeout=300
    )


@contextmanager
def serving(data: Path) -> Iterator[None]:
    command = [*KILN, "serve", "--data", str(data), "--listen", "127.0.0.1:0", "--machines", "none"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as service:
        try:
            assert any(line.startswith("listening on") for line in service.stdout)
            yield
        finally:
            service.terminate()


def keys_of(data: Path) -> Mapping[str, str]:
    """What ``eval "$(kiln env)"`` sets."""
    lines = said("env", "--data", str(data)).stdout.splitlines()
    return dict(shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in lines if "KILN_" in line)


def test_a_secret_that_was_lost_is_told_by_env_and_one_whose_master_key_was_lost_is_made_anew(tmp_path):
    data = tmp_path / "data"
    with serving(data):
        known = keys_of(data)
        made = said("bucket", "create", "kept", "--data", str(data))
        assert made.returncode == 0, made.stderr
        wrong = said("image", "list", **{**known, "KILN_ACCESS_KEY_SECRET": "lost"})
        assert wrong.returncode == exits.REFUSED.number
        assert "the secret in KILN_ACCESS_KEY_SECRET is not that of KILN_ACCESS_KEY_ID" in wrong.stderr
        assert 'eval "$(kiln env)"' in wrong.stderr
        assert said("image", "list", **keys_of(data)).returncode == 0

    (data / "master.key").unlink()
    refused = said("serve", "--data", str(data), "--listen", "127.0.0.1:0", "--machines", "none")
    assert refused.returncode != 0
    assert "master.key" in refused.stderr
    assert "kiln account reset-keys" in refused.stderr
    assert not (data / "master.key").exists()

    reset = said("account", "reset-keys", "--data", str(data))
    assert reset.returncode == 0, reset.stderr
    with serving(data):
        anew = keys_of(data)
        assert anew["KILN_ACCESS_KEY_ID"] == known["KILN_ACCESS_KEY_ID"]
        assert anew["KILN_ACCESS_KEY_SECRET"] != known["KILN_ACCESS_KEY_SECRET"]
        assert anew["KILN_ACCESS_KEY_SECRET"] in reset.stdout
        old = {**anew, "KILN_ACCESS_KEY_SECRET": known["KILN_ACCESS_KEY_SECRET"]}
        assert "is not that of KILN_ACCESS_KEY_ID" in said("image", "list", **old).stderr
        assert said("image", "list", **anew).returncode == 0
        assert "kept" in said("bucket", "list", "--data", str(data)).stdout
