"""What follows from an image's Platform and Architecture: the type of the system, the boot mode, the CPUs.

Sources: create-image.seed.txt (Platform, Architecture, BootMode) and
ecs-api.md 5.1. Knows neither images nor instances.
"""

from __future__ import annotations

#: The architectures of images that an instance type runs, by the type's own.
RUNS = {"x86_64": ("x86_64", "i386"), "arm64": ("arm64",)}


def is_windows(platform: str) -> bool:
    """Whether the release is one of Windows."""
    return platform.startswith(("Windows", "Other Windows"))


def os_type_of(platform: str) -> str:
    """The OSType of a release: ``windows`` or ``linux``."""
    return "windows" if is_windows(platform) else "linux"


def default_boot_mode(architecture: str) -> str:
    """The BootMode where nothing is said of it: ``UEFI`` for arm64, ``BIOS`` for the others."""
    return "UEFI" if architecture == "arm64" else "BIOS"


def can_boot(architecture: str, boot_mode: str) -> bool:
    """Whether there is such a thing: arm64 has no BIOS."""
    return architecture != "arm64" or boot_mode != "BIOS"
