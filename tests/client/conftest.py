"""A stage for the client's tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.client.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    for client in made.clients:
        client.close()
    made.server.shutdown()
    thread.join()
    made.server.server_close()
