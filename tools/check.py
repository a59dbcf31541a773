"""Everything that is checked without running the program: `./kiln check`, or `./kiln check NAME...` for some of it.

Every check prints its name and its time, and its output when it fails; all run even when one fails; the exit code
is 1 when any failed, and 2 for a name that is no check's. What each tool looks for is in pyproject.toml, not here.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = (sys.executable, "-P")
#: Modules, not the scripts beside the interpreter: those hold the path of a checkout that may have moved.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
FOLDERS = tuple(name for name in ("src", "tests", "tools", "bench", "torment") if (ROOT / name).is_dir())
SCRIPTS = (
    "kiln",
    ".ci/run",
    ".ci/nightly",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tools").glob("*.sh")),
)

CHECKS: dict[str, tuple[str, ...]] = {
    "format": (*PYTHON, "-m", "ruff", "format", "--check", "--quiet", "--diff", *FOLDERS),
    "lint": (*PYTHON, "-m", "ruff", "check", "--quiet", *FOLDERS),
    "types": (*PYTHON, "-m", "mypy", "--no-error-summary"),
    "layers": (*PYTHON, "-c", LINT_IMPORTS),
    "spelling": (*PYTHON, "-m", "codespell_lib"),
    "size": (*PYTHON, "tools/size.py"),
    "catalogue": (*PYTHON, "tools/catalogue.py", "--check"),
    "docs": (*PYTHON, "tools/docs.py", "--check"),
    # One shell reads one script: further names would be the script's arguments.
    "shell": ("sh", "-c", 'for script; do sh -n "$script" || exit; done', "sh", *SCRIPTS),
}


def main(names: list[str]) -> int:
    """Run the named checks, or all; return the exit code."""
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"no such check: {', '.join(unknown)}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = [name for name in names or CHECKS if not passes(name)]
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def passes(name: str) -> bool:
    """Run one check, print its name and time (and what it said, when it fails), and return whether it passed."""
    start = time.monotonic()
    result = subprocess.run(
        CHECKS[name],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    verdict = "ok" if result.returncode == 0 else "FAILED"
    print(f"{verdict:7} {name:10} {time.monotonic() - start:6.1f} s", flush=True)
    if result.returncode:
        print(result.stdout, flush=True)
    return result.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
