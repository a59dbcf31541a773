"""An account with a webhook, whose receiver is a real one."""

from __future__ import annotations

import pytest

from tests.receivers import HERE, receiving


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


@pytest.fixture
def told(cloud, receiver):
    """A cloud whose account has that receiver as its webhook."""
    cloud.refit(may_call=HERE)
    cloud.hook = cloud.call("CreateWebhook", Url=receiver.url)
    return cloud
