"""A Kiln for tests of programs that speak the API: real disks and states, no machines, ready in about a second.

With pytest, ask for a fixture of ``kiln.testing.plugin``; it is there as soon
as Kiln is installed. With anything else, where ``connect`` makes the official client::

    with start_kiln(folder / "data") as kiln:
        ecs = connect(kiln)

Each Kiln is a process of its own on a free port of 127.0.0.1, so tests that
run beside each other do not meet. It is the program as it is served to
anybody: nothing in it is replaced for tests.
"""

from kiln.testing.official import connect
from kiln.testing.served import DidNotStart, DidNotStop, Served, start_kiln

__all__ = ["DidNotStart", "DidNotStop", "Served", "connect", "start_kiln"]
