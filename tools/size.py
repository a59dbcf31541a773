"""Keeps the tail short: no module of src longer than 500 lines, no function longer than 60.

Blank lines, comments and docstrings count: they are read as well. A decorator does not belong to the function's
lines. It prints what is too long and exits 1; an exception without need is refused like a thing too long.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
MODULE_LINES = 500
FUNCTION_LINES = 60

#: What may be longer, and why: "package/module.py" or "package/module.py:function".
EXCEPTIONS: dict[str, str] = {
    "kiln/store/migrations/versions/0001_first_tables.py:upgrade": "Alembic writes all first tables into one function.",
    "kiln/store/migrations/versions/0001_first_tables.py:downgrade": "Likewise, the way back.",
}


def measured() -> Iterator[tuple[str, int, int]]:
    """Yield each module's and each function's name, its lines and the lines it may have."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = str(path.relative_to(SOURCE))
        text = path.read_text()
        yield name, len(text.splitlines()), MODULE_LINES
        for node in ast.walk(ast.parse(text, name)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{name}:{node.name}", node.end_lineno - node.lineno + 1, FUNCTION_LINES


def main() -> int:
    """Print what breaks the rule and return the exit code."""
    long = {name: (lines, most) for name, lines, most in measured() if lines > most}
    faults = [
        f"{name}: {lines} lines, at most {most}" for name, (lines, most) in long.items() if name not in EXCEPTIONS
    ]
    faults += [f"{name}: an exception that is no longer needed" for name in EXCEPTIONS if name not in long]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
