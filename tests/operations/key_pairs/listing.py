"""Key pairs as DescribeKeyPairs shows them."""

from __future__ import annotations

from typing import Any

from tests.clouds import Cloud


def shown(cloud: Cloud, params: dict[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
    """The key pairs of an answer."""
    return cloud.call("DescribeKeyPairs", params, **more)["KeyPairs"]["KeyPair"]


def names(cloud: Cloud, params: dict[str, Any] | None = None, **more: Any) -> list[str]:
    """Their names."""
    return [one["KeyPairName"] for one in shown(cloud, params, **more)]
