"""Figures as people and programs read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.load import Outcome
from bench.place import file_system
from bench.report import Figure, Report, at_least, at_most, median_of, to_lines, to_ratio, to_table, to_text

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.0924, "0.092"), (4.178, "4.18"), (12.34, "12.3"), (99.94, "99.9"), (100, "100"), (1234.5, "1,234")],
)
def test_says_numbers_with_three_digits(number, text):
    assert to_text(number) == text


@pytest.mark.parametrize(
    ("value", "other", "text"),
    [(6.0, 2.0, "3.00x"), (1.0, 1.0, "1.00x"), (0.2, 2.0, "0.10x"), (1.0, 250.0, "1/250"), (1.0, 0.0, "-")],
)
def test_says_ratios_as_times_or_parts(value, other, text):
    assert to_ratio(value, other) == text


def test_takes_the_median_and_shows_the_spread():
    figure = median_of("a look", "ms", [3.0, 1.0, 50.0])

    assert (figure.value, figure.least, figure.most, figure.n) == (3.0, 1.0, 50.0, 3)
    (line,) = to_lines(figure)
    assert line.endswith("3.00 ms    (median of 3: 1.00 to 50.0)")


def test_one_measurement_has_no_spread():
    (line,) = to_lines(Figure("memory", 75.2, "MB"))

    assert line.split() == ["memory", "75.2", "MB"]


def test_shows_a_figure_against_others_and_its_aim():
    figure = Figure(
        "1 disk", 6.0, "ms", note="answered at once", against={"by hand": 3.0}, aim=at_most(6.0, 9.0, "at most 3x")
    )

    assert [line.strip() for line in to_lines(figure)[1:]] == [
        "answered at once",
        "2.00x  by hand: 3.00 ms",
        "aim: at most 3x: reached",
    ]


def test_says_who_has_no_such_figure_and_why():
    figure = Figure("a page", 6.0, "ms", against={"one": 3.0}, lacks={"another": "does not have it"})

    assert [line.strip() for line in to_lines(figure)[1:]] == ["2.00x  one: 3.00 ms", "-  another: does not have it"]


def test_a_table_has_columns_as_wide_as_their_widest_cell():
    assert to_table(["", "Kiln"], [["start, s", "0.500"], ["idle", "61"]]) == [
        "|          | Kiln  |",
        "| -------- | ----- |",
        "| start, s | 0.500 |",
        "| idle     | 61    |",
    ]


def test_says_nothing_of_aims_where_there_are_none():
    said = []
    report = Report(said.append)
    report.add(Figure("something else", 1.0, "s"))

    report.conclude()

    assert len(said) == 1


def test_limits_belong_to_what_they_limit():
    assert at_most(3.0, 3.0, "").is_met
    assert at_least(3.0, 3.0, "").is_met
    assert not at_most(3.1, 3.0, "").is_met
    assert not at_least(2.9, 3.0, "").is_met


def test_ends_with_what_was_not_reached():
    said = []
    report = Report(said.append)
    report.add(Figure("rate", 300.0, "/s", aim=at_least(300.0, 400.0, "at least 400/s")))
    report.add(Figure("memory", 75.0, "MB", aim=at_most(75.0, 120.0, "at most 120 MB")))
    report.add(Figure("something else", 1.0, "s"))

    report.conclude()

    assert said[-2:] == ["\n1 of 2 aims reached", "  not reached: rate: at least 400/s; it is 300 /s"]


def test_writes_all_figures_and_the_facts_of_the_run(tmp_path):
    report = Report(lambda _: None)
    report.add(Figure("memory", 75.0, "MB", aim=at_most(75.0, 120.0, "at most 120 MB")))

    report.write(tmp_path / "figures.json", {"kernel": "6.1"})

    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["kernel"] == "6.1"
    assert written["figures"][0]["what"] == "memory"
    assert written["figures"][0]["aim"] == {"words": "at most 120 MB", "is_met": True}


def test_counts_only_what_was_answered_well():
    outcome = Outcome(requests=10, failed=2, seconds=2.0, cpu_seconds=1.0, latencies_ms=(5.0, 1.0, 2.0, 4.0, 3.0))

    assert outcome.rate == 4.0
    assert outcome.cpu_ms == 100.0
    assert outcome.percentile(50) == 3.0
    assert outcome.percentile(99) == 5.0


def test_knows_a_file_system_in_memory():
    assert file_system(Path("/proc/self"))[0] == "proc"
    assert file_system(Path("/"))[1] == "/"


@pytest.mark.slow
def test_a_short_run_ends_well_prints_figures_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "bench", "--quick", "--section", "start", "words", "describe"]
    output = tmp_path / "figures.json"

    ended = subprocess.run(
        [*command, "--data", tmp_path, "--json", output],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )

    assert ended.returncode == 0, ended.stderr
    assert "resident memory, idle" in ended.stdout
    assert "by ID and owner (CLI), among 500" in ended.stdout
    assert "kiln image list" in ended.stdout
    figures = json.loads(output.read_text())["figures"]
    assert len(figures) >= 20
    assert not [figure["what"] for figure in figures if "/s" in figure["unit"] and not figure["against"]]
    assert list(tmp_path.iterdir()) == [output]


def test_says_so_where_a_load_took_no_time_that_the_kernel_counts():
    assert "less" in Outcome(requests=4, failed=0, seconds=0.1, cpu_seconds=0.0, latencies_ms=(1.0,)).cost
