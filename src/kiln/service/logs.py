"""Logging: one line for each event on standard error: readable for a person at a terminal, JSON for a collector."""

from __future__ import annotations

import json
import logging
import sys

from kiln.declare.metrics import LOGGED
from kiln.ground.clock import to_milliseconds_text
from kiln.ground.journal import FACTS
from kiln.ground.prose import fold
from kiln.service.terminal import terminal_room

_INDENT = 4


def configure(level: str, form: str = "auto") -> None:
    """Log *level* and above, as ``json``, as ``text``, or by what standard error is."""
    is_text = sys.stderr.isatty() if form == "auto" else form == "text"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Readable() if is_text else _Json())
    handler.addFilter(_is_counted)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # What is no HTTP is refused, counted and logged by ``kiln.wire.http``; anybody could fill the log with this line.
    logging.getLogger("uvicorn.error").addFilter(_is_no_malformed_request)


def _is_counted(record: logging.LogRecord) -> bool:
    if record.levelno >= logging.WARNING:
        LOGGED.add("warning" if record.levelno < logging.ERROR else "error")
    return True


def _is_no_malformed_request(record: logging.LogRecord) -> bool:
    return record.msg != "Invalid HTTP request received."


class _Json(logging.Formatter):
    """A JSON object a line; a traceback is one text in it."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "time": to_milliseconds_text(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, FACTS, {}),
        }
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False, default=str)


class _Readable(logging.Formatter):
    """Time, level, event and ``name=value``, folded at blanks to the terminal; a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={_on_one_line(str(value))}" for name, value in getattr(record, FACTS, {}).items())
        line = f"{to_milliseconds_text(record.created)} {record.levelname:7} {record.getMessage()} {facts}".rstrip()
        line = "\n".join(fold(line, terminal_room(sys.stderr), _INDENT))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _on_one_line(text: str) -> str:
    """*text* without what a terminal heeds or takes for the end of a line: others than Kiln have written some of it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
