"""What pages say, in English and Chinese: one catalogue of texts, each in all languages beside the other.

The files beside this one are TOML: a table is a part of the console, a text has
a line for each language. What the API declares (the docs of parameters, errors
and their hints) is not said again here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "中文"}
DEFAULT = "en"


@cache
def load() -> Mapping[str, Mapping[str, str]]:
    """Every text by its name, ``images.title``, and then by language."""
    found: dict[str, Mapping[str, str]] = {}
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for name, one in _texts("", tomllib.loads(path.read_text())):
            if name in found:
                raise ValueError(f"{name} is said twice, again in {path.name}")
            found[name] = one
    return found


class Texts:
    """The texts in one language."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else DEFAULT
        self._texts = load()

    def __call__(self, name: str, **given: object) -> str:
        """The text, with what it has places for. Raises KeyError for a name that is none."""
        text = self._texts[name][self.language]
        return text.format(**given) if given else text

    def find(self, name: str) -> str:
        """The text, or nothing where there is none of that name."""
        return self._texts.get(name, {}).get(self.language, "")


def preferred(accepted: str) -> str:
    """The language for a browser that accepts these (``zh-CN,zh;q=0.9,en;q=0.8``): the first that there is."""
    weighed: list[tuple[float, str]] = []
    for one in accepted.split(","):
        language, _, more = one.strip().partition(";")
        try:
            weight = float(more.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        weighed.append((-weight, language.partition("-")[0].lower()))
    return next(
        (language for weight, language in sorted(weighed, key=lambda one: one[0]) if language in LANGUAGES), DEFAULT
    )


def _texts(above: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    for key, value in table.items():
        name = f"{above}{key}"
        if all(isinstance(one, str) for one in value.values()):
            yield name, value
        else:
            yield from _texts(f"{name}.", value)
