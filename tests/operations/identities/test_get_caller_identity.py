"""GetCallerIdentity, as a caller meets it."""

from __future__ import annotations

from tests.clouds import OTHER


def test_tells_each_account_of_itself(cloud):
    for account in (cloud.account, OTHER):
        assert cloud.call("GetCallerIdentity", account=account) == {
            "IdentityType": "Account",
            "AccountId": account,
            "UserId": account,
            "PrincipalId": account,
            "Arn": f"acs:ram::{account}:root",
        }
