"""The pages that a noun has by being declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from kiln.console.nouns import detail, doing, listing
from kiln.console.nouns.noun import Does, Noun
from kiln.console.visit import Page, Shown, Visit


def pages(
    noun: Noun, *, show: Callable[[Noun, Visit], Shown] = detail.show, one: str = "detail.html"
) -> Iterator[Page]:
    """The listing, the page of one row (*show* and the template *one*), and a form for each thing that can be done."""
    yield Page(at=noun.at, run=partial(listing.show, noun), template="listing.html")
    yield Page(at=f"{noun.at}/{{id}}", run=partial(show, noun), template=one)
    for does in noun.makes:
        yield from _forms(noun, does, f"{noun.at}/{does.called}")
    for does in noun.does:
        yield from _forms(noun, does, f"{noun.at}/{{id}}/{does.called}")


def _forms(noun: Noun, does: Does, at: str) -> Iterator[Page]:
    yield Page(at=at, run=partial(doing.ask, noun, does), template="doing.html")
    yield Page(at=at, run=partial(doing.do, noun, does), method="POST", template="doing.html")
