"""What is said: in each language, and nothing that nobody says."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest

from kiln.client import catalogue
from kiln.console import static, texts
from kiln.console.app import PAGES
from kiln.console.lineage.graph import Kind
from kiln.console.nouns.noun import PLACES
from kiln.console.pages import security_groups
from kiln.console.rendering import TEMPLATES
from kiln.console.texts import LANGUAGES, Texts, preferred
from kiln.declare import states
from kiln.declare.holdings import Use
from kiln.operations import ALL
from kiln.operations.reasons.describe_reasons import STANDS_STILL
from kiln.service.health import CHECKS
from kiln.upkeep.abandoned import LEFT
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.lost_hosts import HOST_LOST
from kiln.upkeep.watch import MACHINE_GONE
from tests.console.test_pages import GETS, path_of, titled

SOURCE = Path(texts.__file__).parents[1]
STATES = (
    states.ImageStatus,
    states.SnapshotStatus,
    states.DiskStatus,
    states.InstanceStatus,
    states.VpcStatus,
    states.VSwitchStatus,
    states.TaskStatus,
)


def nouns():
    """Every noun that has pages."""
    found = [page.run.args[0] for page in PAGES if hasattr(page.run, "args")]
    return {noun.name: noun for noun in found}.values()


def headings():
    """What stands above the columns of any table of a page, above that table, and beside a filter."""
    found = set(security_groups._RULE_TITLES)
    for noun in nouns():
        row = catalogue.load().action(noun.action).listing[1]
        found |= {*noun.columns, *noun.filters}
        for part in row.parts:
            inner = part.parts[0] if len(part.parts) == 1 else None
            if inner is not None and inner.is_repeated and inner.parts:
                found |= {part.name, *(one.name for one in inner.parts if not one.parts)}
    return found


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_everything_is_said_in_every_language_with_the_same_places():
    wrong = {
        name: said
        for name, said in texts.load().items()
        if set(said) != set(LANGUAGES)
        or not all(said.values())
        or len({frozenset(places(one)) for one in said.values()}) > 1
    }

    assert wrong == {}


def test_chinese_is_punctuated_as_chinese():
    """A comma of English beside a Han character has no room of its own, and looks like a slip."""
    han = r"[\u4e00-\u9fff]"
    slip = re.compile(rf"{han} ?[,:;()?!]|[,:;()?!] ?{han}")
    # What stands in backticks is typed as it stands there.
    said = {name: "".join(one["zh"].split("`")[::2]) for name, one in texts.load().items()}

    assert {name: words for name, words in said.items() if slip.search(words)} == {}


def test_what_is_said_somewhere_is_there_and_nothing_else():
    written = "\n".join(path.read_text() for path in (*TEMPLATES.glob("*.html"), *SOURCE.rglob("*.py")))
    called = set(re.findall(r'\b(?:t|texts)\(\s*"([\w.-]+)"', written))
    said = {name for name in texts.load() if f'"{name}"' in written} | called
    for noun in nouns():
        assert noun.columns
        said |= {f"noun.{noun.name}", f"empty.{noun.name}", *(f"column.{name}" for name in noun.columns)}
        said |= {f"do.{does.called}" for does in (*noun.makes, *noun.does)} | {f"tab.{tab.name}" for tab in noun.tabs}

    actions = {operation.name for operation in ALL}
    said |= {f"use.{use}" for use in Use} | {f"deed.{deed}" for deed in DUTIES if deed not in actions}
    # What happened, in place of what was to be done; and what is begun for whoever left something.
    said |= {f"deed.{event}" for event in (MACHINE_GONE, HOST_LOST, STANDS_STILL, LEFT)}
    said |= {f"kind.{kind}" for kind in Kind} | {f"column.{name}" for name in headings()}
    said |= {f"consistency.{how}" for how in ("quiesced", "crash-consistent")}
    said |= {f"disk_type.{one}" for one in ("system", "data")}
    said |= {f"part.{check}" for check in CHECKS}
    said |= {f"state.{one}" for states in STATES for one in states}

    assert {name for name in said if not name.endswith(".")} == set(texts.load())


def test_nouns_name_what_the_api_has():
    known = catalogue.load()
    for noun in nouns():
        action = known.action(noun.action)
        row = action.listing[1]
        fields = (noun.id, *noun.columns, *filter(None, (noun.called, noun.state, noun.progress)))
        assert [name for name in fields if row.part(name) is None] == []
        asked = (noun.asks, *noun.filters, *noun.fixed, *filter(None, (noun.tab_by,)))
        assert [name for name in asked if action.parameter(name) is None] == []
        for does in (*noun.makes, *noun.does):
            taken = (*does.given_by, *does.fixed, *does.first, *(does.asked or ()))
            assert [name for name in taken if known.action(does.action).parameter(name) is None] == [], does
            assert not does.made or does.made.split(".")[-1] in PLACES, does
            assert not does.made or known.action(does.action).answer.part(does.made.split(".")[0]), does


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr, de;q=0.5", "en"),
        ("en;q=0.2, zh;q=0.9", "zh"),
        ("zh;q=x,en", "en"),
        (";;;,,", "en"),
    ],
)
def test_speaks_the_language_that_is_liked_best_of_those_it_has(accepted, language):
    assert preferred(accepted) == language


def test_an_unknown_language_is_the_default_one():
    assert Texts("xx").language == "en"


@pytest.mark.parametrize("file", static.VENDORED, ids=lambda file: file.name)
def test_what_others_made_is_what_they_published_with_its_licence(file):
    assert hashlib.sha256((static.FOLDER / file.name).read_bytes()).hexdigest() == file.sha256
    assert list(static.FOLDER.glob(f"{file.name.rpartition('.min')[0]}*LICENSE"))


class _Foreign(HTMLParser):
    """Notes what a page in Chinese says in Latin letters, and neither marks as English nor shows as code or a value."""

    _SKIPPED = frozenset({"style", "code", "pre", "bdi", "option", "title"})
    #: May be what the API calls something: one word, as DiskName or Features.NvmeSupport.
    _OF_NAMES = frozenset({"dt", "label", "legend", "p", "button", "span"})
    #: Those that are called so in Chinese, too.
    _PRODUCTS = frozenset({"Kiln", "Python", "CLI", "Packer", "curl", "kiln", "KiB"})
    _ID = re.compile(r"\b[a-z]{1,8}-[0-9a-z]{20}\b")

    def __init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, str | None]] = []
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("input", "img", "link", "meta", "br", "hr"):
            self._open.append((tag, dict(attrs).get("lang")))

    def handle_endtag(self, tag):
        self._open.pop()

    def handle_data(self, data):
        language = next((lang for _, lang in reversed(self._open) if lang), "")
        if not language.startswith("zh") or self._SKIPPED & {tag for tag, _ in self._open}:
            return
        said = self._ID.sub("", data).strip().strip("*").strip()
        is_name = self._open[-1][0] in self._OF_NAMES and re.fullmatch(r"([A-Z][A-Za-z]*\.?)+( [0-9]+)?", said)
        is_chinese = re.search(r"[\u4e00-\u9fff]", said)
        if re.search(r"[A-Za-z]{3}", said) and not (is_name or is_chinese or said in self._PRODUCTS):
            self.found.append(f"{self._open[-1][0]}: {said}")


@pytest.mark.parametrize("page", GETS, ids=titled)
def test_says_in_chinese_all_but_what_the_api_declares(looker, page):
    looker.get("/language?to=zh&back=/")
    reader = _Foreign()

    answer = looker.get(path_of(page, looker))
    reader.feed(answer.text)

    assert '<html lang="zh' in answer.text
    assert reader.found == []
