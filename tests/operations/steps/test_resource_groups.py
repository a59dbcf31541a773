from __future__ import annotations

import pytest

from kiln.declare.deployment import Deployment
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound, check_there
from tests.clouds import ACCOUNT, OTHER, make_cloud


@pytest.fixture
def cloud(tmp_path, sqlite):
    """Every account has rg-all; rg-tests is ACCOUNT's alone."""
    return make_cloud(tmp_path, sqlite, deployment=Deployment(resource_groups=("rg-all",)))


@pytest.mark.parametrize("account", [ACCOUNT, OTHER])
def test_those_of_the_deployment_are_every_accounts(cloud, account):
    assert cloud.call("CreateDisk", account=account, ZoneId="cn-qingdao-env17-d01-a", Size=20, ResourceGroupId="rg-all")


@pytest.mark.parametrize(("account", "group"), [(OTHER, "rg-tests"), (ACCOUNT, "rg-nowhere")])
def test_those_of_another_account_are_unknown(cloud, account, group):
    cloud.account = account
    with cloud.ports.database.read() as tx, pytest.raises(InvalidResourceGroupNotFound):
        check_there(cloud.as_call(tx), group)
