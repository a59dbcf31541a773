"""What a process of Kiln does, where several share a database."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The roles that there are."""

    ALL = "all"  #: It does both.
    API = "api"  #: It answers requests, and has others carry out what they leave to be done.
    WORKER = "worker"  #: It carries out tasks, has machines, and keeps all in order.

    @property
    def answers(self) -> bool:
        """Whether it answers the API's requests."""
        return self is not Role.WORKER

    @property
    def works(self) -> bool:
        """Whether it carries out tasks, on a host of its own."""
        return self is not Role.API
