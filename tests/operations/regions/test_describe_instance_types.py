"""DescribeInstanceTypes, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Deployment, InstanceType
from tests.clouds import make_cloud

SMALL = InstanceType("ecs.t5-lc1m1.small", 1, 1024)
LARGE = InstanceType("ecs.g6.xlarge", 4, 16384)
FAST = InstanceType("ecs.c6.large", 2, 4096)
ARM = InstanceType("ecs.c8y.small", 1, 2048, "arm64")
EVERY = [SMALL, LARGE, FAST, ARM]


@pytest.fixture
def cloud(tmp_path, sqlite):
    return make_cloud(tmp_path, sqlite, deployment=Deployment(instance_types=tuple(EVERY)))


def listed(cloud, params=None, /, **more):
    answer = cloud.call("DescribeInstanceTypes", params, **more)
    return [one["InstanceTypeId"] for one in answer["InstanceTypes"]["InstanceType"]]


class TestTheAnswer:
    def test_tells_what_a_type_is(self, cloud):
        (one,) = cloud.call("DescribeInstanceTypes", {"InstanceTypes.1": LARGE.id})["InstanceTypes"]["InstanceType"]

        told = ("InstanceTypeId", "InstanceTypeFamily", "CpuCoreCount", "MemorySize", "CpuArchitecture")
        assert [one[name] for name in told] == [LARGE.id, "ecs.g6", 4, 16.0, "X86"]
        assert (one["InstanceCategory"], one["InstanceFamilyLevel"]) == ("General-purpose", "EnterpriseLevel")
        assert (one["DiskQuantity"], one["GPUAmount"], one["GPUSpec"], one["NvmeSupport"]) == (17, 0, "", "unsupported")
        assert one["SupportedBootModes"] == {"SupportedBootMode": ["BIOS", "UEFI"]}

    def test_tells_that_arm_boots_by_uefi_alone(self, cloud):
        (one,) = cloud.call("DescribeInstanceTypes", CpuArchitecture="ARM")["InstanceTypes"]["InstanceType"]

        assert (one["CpuArchitecture"], one["SupportedBootModes"]) == ("ARM", {"SupportedBootMode": ["UEFI"]})

    def test_lists_all_types_of_the_deployment(self, cloud):
        assert listed(cloud) == [SMALL.id, LARGE.id, FAST.id, ARM.id]


class TestFilters:
    @pytest.mark.parametrize(
        ("filters", "types"),
        [
            ({"InstanceTypes.1": SMALL.id, "InstanceTypes.2": ARM.id, "InstanceTypes.3": "ecs.none"}, [SMALL, ARM]),
            ({"InstanceTypeFamily": "ecs.c6"}, [FAST]),
            ({"InstanceTypeFamilies.1": "ecs.t5", "InstanceTypeFamilies.2": "ecs.g6"}, [SMALL, LARGE]),
            ({"InstanceCategory": "compute-optimized"}, [FAST, ARM]),
            ({"InstanceCategories.1": "Shared"}, [SMALL]),
            ({"InstanceFamilyLevel": "CreditEntryLevel"}, [SMALL]),
            ({"CpuArchitectures.1": "X86", "CpuArchitectures.2": "ARM"}, EVERY),
            ({"MinimumCpuCoreCount": 2}, [LARGE, FAST]),
            ({"MaximumCpuCoreCount": 2}, [SMALL, FAST, ARM]),
            ({"MinimumMemorySize": "1.5", "MaximumMemorySize": "4.0"}, [FAST, ARM]),
            ({"MinimumDiskQuantity": 17, "MinimumEniQuantity": 1, "MinimumInstanceBandwidthRx": 1000}, EVERY),
            ({"MaximumGPUAmount": 0}, EVERY),
            ({"MinimumGPUAmount": 1}, []),
            ({"MinimumLocalStorageAmount": 1}, []),
            ({"GPUSpec": "NVIDIA V100"}, []),
            ({"LocalStorageCategories.1": "local_ssd_pro"}, []),
            ({"NvmeSupport": "required"}, []),
            ({"AdditionalAttributes.1": "NetworkInfo"}, EVERY),
        ],
    )  # fmt: skip
    def test_keeps_what_matches(self, cloud, filters, types):
        assert listed(cloud, filters) == [one.id for one in types]


class TestPages:
    def test_goes_on_where_the_answer_before_ended(self, cloud):
        first = cloud.call("DescribeInstanceTypes", MaxResults=3)
        second = cloud.call("DescribeInstanceTypes", MaxResults=3, NextToken=first["NextToken"])

        pages = [[one["InstanceTypeId"] for one in a["InstanceTypes"]["InstanceType"]] for a in (first, second)]
        assert pages == [[SMALL.id, LARGE.id, FAST.id], [ARM.id]]
        assert second["NextToken"] == ""

    @pytest.mark.parametrize("most", [0, 2000])
    def test_takes_any_number_of_results(self, cloud, most):
        assert listed(cloud, MaxResults=most)

    @pytest.mark.parametrize("token", ["nonsense", "WyJlY3Mubm9uZSJd"])
    def test_refuses_a_token_that_is_not_ours(self, cloud, token):
        cloud.refuses("DescribeInstanceTypes", "InvalidParameter", 400, NextToken=token)


def test_refuses_more_than_10_types(cloud):
    cloud.refuses(
        "DescribeInstanceTypes", "InvalidParameter", 400, {f"InstanceTypes.{n}": SMALL.id for n in range(1, 12)}
    )
