"""DescribeUserBusinessBehavior, as a caller meets it."""

from __future__ import annotations


def test_says_that_sessions_may_be_opened(cloud):
    assert cloud.call("DescribeUserBusinessBehavior", statusKey="sessionManagerStatus") == {"StatusValue": "enabled"}


def test_knows_nothing_else(cloud):
    cloud.refuses("DescribeUserBusinessBehavior", "InvalidParameter", 400, statusKey="other")
