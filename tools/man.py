"""Writes manual pages of the command line, from the declarations that docs/reference/cli.md is written from.

    .venv/bin/python tools/man.py FOLDER

makes kiln.1 and a kiln-WORD.1 for each word. They are not kept: what packs Kiln makes them. Their date is that of
SOURCE_DATE_EPOCH, by which what is made twice is the same, or else today's.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # Checks are run with -P, which leaves this folder out.

from kiln import __version__  # noqa: E402
from kiln.cli import exits  # noqa: E402
from kiln.cli.main import WORDS, every_command  # noqa: E402
from tools import pages  # noqa: E402

_CODE = re.compile(r"`([^`]*)`")


def build(date: str) -> dict[str, str]:
    """Every page by its file's name; *date* as 2026-11-29."""
    commands: dict[str, dict[str, Any]] = {word: {} for word in WORDS}
    for said, command in every_command():
        commands[said.partition(" ")[0]][said] = command
    return {"kiln.1": _all(date)} | {f"kiln-{word}.1": _one(word, below, date) for word, below in commands.items()}


def _all(date: str) -> str:
    return _page(
        _title("kiln", date),
        ".SH NAME",
        r"kiln \- a machine\-image service that speaks the Alibaba Cloud ECS and Apsara Stack APIs",
        ".SH SYNOPSIS",
        r"\fBkiln\fR \fIWORD\fR ...",
        ".br",
        r"\fBkiln \-\-version\fR",
        ".SH DESCRIPTION",
        _prose(pages.ANSWERS),
        ".SH WORDS",
        *(_item(_bold(f"kiln-{word}") + "(1)", it.about) for word, it in WORDS.items()),
        ".SH ENVIRONMENT",
        _prose(pages.WHO_ASKS),
        ".SH EXIT STATUS",
        *(_item(_bold(str(code.number)), code.meaning) for code in exits.ALL),
        *_see(f"kiln-{word}" for word in WORDS),
    )


def _one(word: str, commands: dict[str, Any], date: str) -> str:
    about = WORDS[word].about
    lines = [_title(f"kiln-{word}", date), ".SH NAME", rf"kiln\-{_plain(word)} \- {_plain(about.rstrip('.'))}"]
    lines.append(".SH SYNOPSIS")
    for at, (said, command) in enumerate(commands.items()):
        lines += [".br"] * (at > 0) + [_usage(said, command)]
    if list(commands) == [word]:
        lines += [".SH DESCRIPTION", *_command(commands[word])]
    else:
        lines += [".SH DESCRIPTION", _plain(about)]
        for said, command in commands.items():
            lines += [f".SS kiln {_plain(said)}", *_command(command)]
    return _page(*lines, *_see(["kiln"]))


def _usage(said: str, command: Any) -> str:
    values = [flag.value for flag in pages.flags(command) if not flag.spellings]
    has_options = len(values) < len(pages.flags(command))
    shown = [_bold(f"kiln {said}"), *([r"[\fIOPTION\fR]..."] if has_options else []), *map(_italic, values)]
    return " ".join(shown)


def _command(command: Any) -> Iterable[str]:
    paragraphs = pages.prose(command).split("\n\n")
    for at, paragraph in enumerate(paragraphs):
        if at:
            yield ".PP"
        yield _prose(paragraph)
    for flag in pages.flags(command):
        spelled = ", ".join(map(_bold, flag.spellings))
        yield _item(f"{spelled} {_italic(flag.value) if flag.value else ''}".strip(), flag.meaning)
    if shown := pages.shown(command):
        yield from (".PP", "For example:", ".PP", ".RS 4", ".nf")
        yield from (_guarded(_plain(line)) for line in shown.splitlines())
        yield from (".fi", ".RE")


def _title(name: str, date: str) -> str:
    """The head of a page, whose words are neither stretched nor broken: a path is to be copied as it stands."""
    return f'.TH {_plain(name.upper())} 1 "{date}" "kiln {__version__}" "Kiln"\n.nh\n.ad l'


def _see(names: Iterable[str]) -> tuple[str, str]:
    return ".SH SEE ALSO", ",\n".join(f"{_bold(name)}(1)" for name in sorted(names))


def _item(shown: str, meaning: str) -> str:
    return f".TP\n{shown}\n{_prose(meaning)}"


def _prose(text: str) -> str:
    """Sentences, with what is code in bold."""
    parts = _CODE.split(" ".join(text.split()))
    return _guarded("".join(_bold(part) if at % 2 else _plain(part) for at, part in enumerate(parts)))


def _bold(text: str) -> str:
    return rf"\fB{_plain(text)}\fR"


def _italic(text: str) -> str:
    return rf"\fI{_plain(text)}\fR"


def _plain(text: str) -> str:
    """The text as it is, its hyphens such as a shell knows."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return text.replace("|", "|\\:")  # A line may end there: what is to be chosen from can be longer than one.


def _guarded(line: str) -> str:
    """A line that is none of roff's own."""
    return rf"\&{line}" if line.startswith((".", "'")) else line


def _page(*lines: str) -> str:
    return "\n".join([r".\" Written by tools/man.py. Change the declaration, not this page.", *lines]) + "\n"


def main(arguments: list[str]) -> int:
    """Write the pages; return the exit code."""
    if len(arguments) != 1:
        print(f"usage: {Path(sys.argv[0]).name} FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    for name, text in build(time.strftime("%Y-%m-%d", moment)).items():
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
