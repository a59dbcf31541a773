"""Which names are the cloud's."""

from __future__ import annotations

import pytest

from kiln.declare.cloud import is_of_cloud, region_in


@pytest.mark.parametrize(
    "name",
    [
        "ecs-cn-hangzhou.aliyuncs.com",
        "ecs.cn-beijing.aliyuncs.com",
        "location-readonly.aliyuncs.com",
        "a-bucket.oss-cn-qingdao-env17-d01.aliyuncs.com",
        "STS.AliyunCS.com",
    ],
)
def test_every_product_region_and_bucket_is_below_its_domain(name):
    assert is_of_cloud(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "aliyuncs.com",
        ".aliyuncs.com",
        "a..aliyuncs.com",
        "aliyuncs.com.example",
        "ecs.aliyuncs.com.",
        "ecs.aliyuncs.com:443",
        "ecsaliyuncs.com",
        "-.aliyuncs.com",
        "*.aliyuncs.com",
        "ecs_x.aliyuncs.com",
        "ecs\n.aliyuncs.com",
        "ecs.aliyuncs.com\n",
        "é.aliyuncs.com",
        "127.0.0.1",
        "localhost",
        f"{'a.' * 9}aliyuncs.com",
        f"{'a' * 64}.aliyuncs.com",
        f"{('a' * 63 + '.') * 4}aliyuncs.com",
    ],
)
def test_whatever_else_is_another_s(name):
    assert not is_of_cloud(name)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("ecs-cn-hangzhou.aliyuncs.com", ""),
        ("vpc.cn-beijing.aliyuncs.com:443", "cn-beijing"),
        ("ecs.ap-southeast-1.aliyuncs.com", "ap-southeast-1"),
        ("ECS.cn-qingdao-env17-d01.aliyuncs.com", "cn-qingdao-env17-d01"),
        ("vpc-vpc.cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("ecs.aliyuncs.com", ""),
        ("ecs.cn-hangzhou.example.com", ""),
        ("ecs.cn-hangzhou.aliyuncs.com.example", ""),
        ("127.0.0.1:8787", ""),
        ("", ""),
    ],
)
def test_a_regional_endpoint_names_its_region(host, region):
    assert region_in(host) == region
