"""Brings a file from HTTP or HTTPS: shown on its way, taken up again where it broke, and whole or an error."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import field
from http.client import HTTPException
from typing import Any, BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.ground.units import GiB, MiB
from kiln.ground.values import dataclass

#: No image is larger, and what never ends is none.
MOST_BYTES = 2048 * GiB
#: Of connections that break one after the other without having brought anything.
TRIES = 5
SILENCE_S = 60.0
_BLOCK = 1 * MiB
_PAUSE_S = 0.1  #: Before a connection is made again; twice as long each time that it brings nothing.
_PARTIAL = 206
_OK = 200
_PART = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15}|\*)")
_DIGESTS = {"sha256": 64, "sha512": 128, "sha1": 40, "md5": 32}

Show = Callable[[int, str], None]  #: Called with the percentage, 0 where none is known, and a word.


@dataclass
class Download:
    """A file that is on its way."""

    url: str
    file: BinaryIO
    digest: str = ""  #: ``sha256:`` and what it must be, in hexadecimal digits.
    seen: int = 0
    total: int | None = None
    mark: str = ""  #: The ETag, or the time of the last change, by which the same file is known again.
    checksum: Any = field(init=False)

    def __post_init__(self) -> None:
        check_url(self.url)
        self.kind, self.wanted = check_digest(self.digest) if self.digest else ("sha256", "")
        self.checksum = hashlib.new(self.kind)

    def run(self, show: Show) -> None:
        """Bring all of it. Raises Refusal."""
        self._try(lambda: self._bring(show))
        if self.wanted and self.checksum.hexdigest() != self.wanted:
            message = f"{self.url} is not what it should be: its {self.kind} is {self.checksum.hexdigest()}"
            raise Refusal(message, exits.UNSOUND, f"Expected was {self.wanted}. Nothing was imported.")

    def look(self) -> int:
        """How many bytes it promises, 0 where it does not say; none of them is brought. Raises Refusal as ``run``."""

        def greet() -> None:
            with self._open():
                pass

        self._try(greet)
        return self.total or 0

    def _try(self, bring: Callable[[], None]) -> None:
        """Do it until it is done, or no connection brings anything more."""
        failures, furthest = 0, 0
        while True:
            try:
                bring()
                break
            except (OSError, HTTPException) as error:
                if isinstance(error, HTTPError):
                    error.close()
                if isinstance(error, HTTPError) and error.code < 500:  # noqa: PLR2004 - the first that may pass.
                    raise _refuse(self.url, error) from error
                failures = 0 if self.seen > furthest else failures + 1
                furthest = max(furthest, self.seen)
                if failures >= TRIES or not furthest:
                    raise _refuse(self.url, error) from error
                time.sleep(_PAUSE_S * 2**failures)
            except ValueError as error:  # Of an address that it leads to.
                raise _refuse(self.url, error) from error

    def _bring(self, show: Show) -> None:
        with self._open() as answer:
            while block := answer.read(_BLOCK):
                self._keep(block)
                show(self.seen * 100 // self.total if self.total else 0, "Downloading")
        if self.total is not None and self.seen != self.total:
            raise ConnectionError(f"it broke off after {self.seen} of {self.total} bytes")

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """What a server answers that has the file, or the rest of it."""
        headers = {"User-Agent": "kiln", "Accept-Encoding": "identity"}
        if self.seen and self.mark:
            headers |= {"Range": f"bytes={self.seen}-", "If-Range": self.mark}
        with closing(_opener().open(Request(self.url, headers=headers), timeout=SILENCE_S)) as answer:  # noqa: S310
            self._require_rest(answer)
            self._learn(answer)
            yield answer

    def _require_rest(self, answer: Any) -> None:
        """That it is the whole file, or what is missing of the same one. Raises Refusal, ConnectionError."""
        part = _PART.fullmatch(answer.headers.get("Content-Range", ""))
        if self.seen and answer.status == _PARTIAL:
            is_next = part is not None and int(part[1]) == self.seen
            is_same = part is not None and (self.total is None or part[2] in ("*", str(self.total)))
            if not (is_next and is_same and _mark(answer) in ("", self.mark)):
                self._begin_again()
                raise ConnectionError("it sent another part than was asked for")
        elif answer.status == _OK:
            if self.seen:
                self._begin_again()
        else:
            raise Refusal(f"{self.url} answered {answer.status}, which is no whole file", exits.UNREACHABLE)

    def _learn(self, answer: Any) -> None:
        """How long the file is, and how it is known again."""
        length = answer.headers.get("Content-Length", "")
        if answer.status == _OK and re.fullmatch("[0-9]{1,15}", length):
            self.total = int(length)
        self.mark = _mark(answer) or self.mark
        room = shutil.disk_usage(self.file.fileno()).free
        wanted = (self.total or 0) - self.seen
        if (self.total or 0) > MOST_BYTES:
            raise Refusal(f"{self.url} has {self.total} bytes, more than an image can have", exits.REFUSED)
        if wanted > room:
            raise Refusal(f"{self.url} has {wanted} bytes to come, and there is room for {room}", exits.FILE)

    def _keep(self, block: bytes) -> None:
        self.seen += len(block)
        if self.seen > (MOST_BYTES if self.total is None else self.total):
            raise Refusal(f"{self.url} sends more than it said, or than an image can have", exits.UNSOUND)
        try:
            self.file.write(block)
        except OSError as error:
            raise Refusal(f"{self.file.name}: {error.strerror}", exits.FILE, "Nothing was imported.") from error
        self.checksum.update(block)

    def _begin_again(self) -> None:
        """The file is another one now, or its server gives no part of it."""
        self.file.seek(0)
        self.file.truncate()
        self.seen, self.total, self.mark = 0, None, ""
        self.checksum = hashlib.new(self.kind)


def _mark(answer: Any) -> str:
    """By what the file is known again; empty where it cannot be."""
    tag: str = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "") or ""


def check_url(url: str) -> None:
    """Raises Refusal for what is no address of a file that anybody may have by HTTP or HTTPS."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise Refusal(f"{url!r} is no URL of the form https://HOST/PATH", exits.USAGE)
    if parts.username or parts.password:
        raise Refusal("a URL with a user's name or password in it is not taken", exits.USAGE, "Others could read it.")


def check_digest(text: str) -> tuple[str, str]:
    """``sha256:HEX`` as its two parts; the kind may be left out where the length tells it. Raises Refusal."""
    kind, _, digits = text.rpartition(":")
    kind = kind.lower() or next((name for name, length in _DIGESTS.items() if length == len(digits)), "")
    if kind not in _DIGESTS or not re.fullmatch(f"[0-9a-fA-F]{{{_DIGESTS.get(kind, 1)}}}", digits):
        forms = ", ".join(f"{name}: and {length} digits" for name, length in _DIGESTS.items())
        raise Refusal(f"{text!r} is no digest", exits.USAGE, f"It has the form {forms}, all hexadecimal.")
    return kind, digits.lower()


class _Redirects(HTTPRedirectHandler):
    """Follows what leads to HTTP or HTTPS, and never from the second to the first."""

    def redirect_request(self, req: Any, *answered: Any) -> Any:
        body, *_, new = answered
        scheme = urlsplit(new).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            body.close()
            raise Refusal(f"{req.full_url} leads to {new}, which is less safe", exits.USAGE)
        return super().redirect_request(req, *answered)


def _opener() -> OpenerDirector:
    """Of HTTP and HTTPS alone: no file of this machine is read for a URL."""
    opener = OpenerDirector()
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, _Redirects, HTTPErrorProcessor):
        opener.add_handler(handler())
    return opener


def _refuse(url: str, error: Exception) -> Refusal:
    code = f"{error.code} " if isinstance(error, HTTPError) else ""
    reason = getattr(error, "reason", error) or type(error).__name__
    if isinstance(reason, OSError) and reason.strerror:
        reason = reason.strerror  # Whose number says nothing to who reads it.
    return Refusal(f"{url}: {code}{reason}", exits.UNREACHABLE, "Nothing was imported.")
