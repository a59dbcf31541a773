"""Kiln's own wheel and source distribution, made of a copy of what they are made of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def make_wheel(target: Path) -> Path:
    """The wheel, in the folder *target*."""
    return _make("build_wheel", target)


def make_sdist(target: Path) -> Path:
    """The source distribution, in the folder *target*."""
    return _make("build_sdist", target)


def _make(what: str, target: Path) -> Path:
    """Ask the build backend as pip does, in the version that the lock file pins; nothing is fetched.

    The files are as those of a fresh checkout: they were changed when they were copied, and not when ours were.
    """
    source = target / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, source)
    for name in ("src", "tests", "docs", "deploy", "examples"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copy
        )
    call = f"import sys; from hatchling import build; print(build.{what}(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", call, target], cwd=source, check=True, capture_output=True, text=True)
    shutil.rmtree(source)
    return target / done.stdout.splitlines()[-1]
