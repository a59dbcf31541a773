"""AllocateEipAddress, as a caller meets it."""

from __future__ import annotations

import ipaddress
import unicodedata

import pytest

from kiln.declare.deployment import Deployment, Quotas
from kiln.store.eips import eips
from tests.reading import every, the
from tests.stock import an_instance


def test_is_available_at_once(cloud):
    made = cloud.call("AllocateEipAddress", Bandwidth="10", InternetChargeType="PayByTraffic", Name="web")

    row = the(cloud, eips, id=made["AllocationId"])
    assert (row.address, row.status, row.instance) == (made["EipAddress"], "Available", "")
    assert (row.bandwidth, row.internet_charge_type, row.name) == (10, "PayByTraffic", "web")
    assert ipaddress.ip_address(row.address).is_loopback


def test_gives_no_address_that_somebody_has(cloud):
    cloud.refit(deployment=Deployment(public_network="127.64.0.0/29"))
    an_instance(cloud, public_ip="127.64.0.1")

    found = {cloud.call("AllocateEipAddress")["EipAddress"] for _ in range(5)}

    assert found == {f"127.64.0.{n}" for n in range(2, 7)}
    cloud.refuses("AllocateEipAddress", "QuotaExceeded.Eip", 400)


def test_a_token_makes_one(cloud):
    first = cloud.call("AllocateEipAddress", ClientToken="t-1")

    assert cloud.call("AllocateEipAddress", ClientToken="t-1") == first
    cloud.refuses("AllocateEipAddress", "IdempotentParameterMismatch", 400, ClientToken="t-1", Bandwidth="7")
    assert len(every(cloud, eips)) == 1


@pytest.mark.parametrize(
    ("code", "status", "params"),
    [
        ("InvalidParameter", 400, {"Bandwidth": "0"}),
        ("InvalidParameter", 400, {"Bandwidth": "fast"}),
        ("InvalidParameter", 400, {"InternetChargeType": "Free"}),
        ("InvalidParameter", 400, {"IpAddress": "127.0.0.1"}),
        ("InvalidParameter", 400, {"Name": "http://x"}),
        ("InvalidParameter", 400, {"Tag.1.Key": "a"}),
        ("InvalidResourceGroup.NotFound", 404, {"ResourceGroupId": "rg-none"}),
    ],
)
def test_refuses(cloud, code, status, params):
    cloud.refuses("AllocateEipAddress", code, status, params)


def test_one_too_many_of_an_account(cloud):
    cloud.refit(deployment=Deployment(quotas=Quotas(eips=1)))
    cloud.call("AllocateEipAddress")

    cloud.refuses("AllocateEipAddress", "QuotaExceeded.Eip", 400)


def test_is_found_by_its_name_however_its_letters_are_composed(cloud):
    name = unicodedata.normalize("NFD", "Bücher")
    made = cloud.call("AllocateEipAddress", Name=name)

    found = cloud.call("DescribeEipAddresses", EipName=name)["EipAddresses"]["EipAddress"]
    assert [one["AllocationId"] for one in found] == [made["AllocationId"]]
