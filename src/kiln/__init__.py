"""Kiln: a machine-image service that speaks the Alibaba Cloud ECS and Apsara Stack APIs, on real disks."""

__version__ = "0.1.0"
