"""When a connection is read, and when not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from uvicorn.protocols.http.flow_control import FlowControl

if TYPE_CHECKING:
    import asyncio


class Holder(Protocol):
    """A connection, as far as that goes."""

    @property
    def has_held(self) -> bool:
        """Whether there are bytes that nobody has parsed."""


class Flow(FlowControl):
    """Reads no more while there is something that nobody has parsed."""

    def __init__(self, transport: asyncio.Transport, holder: Holder) -> None:
        super().__init__(transport)
        self._holder = holder

    def resume_reading(self) -> None:
        if not self._holder.has_held:
            super().resume_reading()
