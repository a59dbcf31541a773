"""What every section is handed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.report import Report

Value = TypeVar("Value")


@dataclass(frozen=True)
class Bench:
    """A run: its folder, its report, and whether it shall be short and only show that all works."""

    folder: Path
    report: Report
    is_quick: bool

    def either(self, full: Value, quick: Value) -> Value:
        """How much to do."""
        return quick if self.is_quick else full
