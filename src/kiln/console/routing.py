"""Which page a request is for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from kiln.console.visit import Page

_NAME = re.compile(r"\{(\w+)\}")


class Routes:
    """The table of pages, looked up. Raises ValueError for two of the same path and method."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._found: list[tuple[re.Pattern[str], dict[str, Page]]] = []
        by_path: dict[str, dict[str, Page]] = {}
        for page in pages:
            if by_path.setdefault(page.at, {}).setdefault(page.method, page) is not page:
                raise ValueError(f"two pages for {page.method} {page.at}")
        # Those with fewer names in their path first: /images/create is no image.
        for at, methods in sorted(by_path.items(), key=lambda one: (one[0].count("{"), one[0])):
            self._found.append((re.compile(_NAME.sub(r"(?P<\1>[^/]{1,3000})", at)), methods))

    def find(self, path: str) -> tuple[Mapping[str, Page], dict[str, str]]:
        """The pages at *path* by method, and what stands where they have names; none where there is nothing."""
        for pattern, methods in self._found:
            if found := pattern.fullmatch(path):
                return methods, {name: unquote(value) for name, value in found.groupdict().items()}
        return {}, {}
