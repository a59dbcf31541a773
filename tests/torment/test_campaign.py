"""The campaign's own machinery: what it counts, and what a seed makes again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torment.campaign import Campaign, Outcome, Place, Section, Skipped, Verdict
from torment.sections import SECTIONS


def _one_of_each(_: Place) -> Iterator[Outcome]:
    yield Outcome("kept")
    yield Outcome("gone", Verdict.LOST, "nothing there")
    yield Outcome("believed", Verdict.ACCEPTED, "obeyed")
    yield Outcome("broken", Verdict.FAILED, "a traceback")


def _drawn(place: Place) -> Iterator[Outcome]:
    for _ in range(place.tries):
        yield Outcome(str(place.chance.random()), Verdict.LOST)


def _missing(_: Place) -> Iterator[Outcome]:
    raise Skipped("needs a moon")
    yield


def test_counts_each_verdict_and_tells_all_but_what_held(tmp_path: Path) -> None:
    told: list[str] = []
    campaign = Campaign(seed=1, is_short=True, say=told.append)

    score = campaign.run(Section("each", "", 4, 4, _one_of_each), tmp_path / "each")

    assert score.counts == dict.fromkeys(Verdict, 1)
    assert not campaign.conclude()
    assert [line for line in told if "kept" in line] == []
    assert "  each 1: gone: lost: nothing there" in told
    assert told[-1] == "4 tried with seed 1: 1 lost, 1 accepted, 1 failed"


def test_draws_the_same_again_from_a_seed_whatever_ran_before(tmp_path: Path) -> None:
    def tell(seed: int, names: list[str], folder: Path) -> list[str]:
        folder.mkdir()
        told: list[str] = []
        campaign = Campaign(seed=seed, is_short=False, say=told.append)
        for name in names:
            campaign.run(Section(name, "", 3, 1, _drawn), folder / name)
        return [line for line in told if line.startswith("  drawn ")]

    first = tell(7, ["drawn"], tmp_path / "first")

    assert len(first) == 3
    assert tell(7, ["other", "drawn"], tmp_path / "again") == first
    assert tell(8, ["drawn"], tmp_path / "differs") != first


def test_says_what_a_skipped_section_lacks(tmp_path: Path) -> None:
    told: list[str] = []

    score = Campaign(seed=1, is_short=True, say=told.append).run(Section("sky", "", 1, 1, _missing), tmp_path / "sky")

    assert score.tried == 0
    assert told == ["sky        skipped: needs a moon"]


def test_holds_for_a_few_requests_that_were_touched_or_spelled_otherwise(tmp_path: Path) -> None:
    told: list[str] = []
    campaign = Campaign(seed=1, is_short=True, say=told.append)

    for name in ("forged", "spelling"):
        assert campaign.run(SECTIONS[name], tmp_path / name, tries=20).tried == 20

    assert campaign.conclude(), told
