"""The Kiln that tests come to as clients do: that of ``kiln.testing``."""

from kiln.testing import Served, start_kiln

__all__ = ["Served", "start_kiln"]
