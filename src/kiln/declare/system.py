"""The system on a disk: all that is known of it, as one value.

It goes with the bytes that it describes, and whole: from an imported file to its
image, from the image to an instance and its system disk, from that disk to a
snapshot, and from the snapshot to the next image. A fact that is new is added
here, and to the tables by a migration; nobody copies facts one by one.
"""

from __future__ import annotations

from kiln.ground.values import dataclass


@dataclass(frozen=True, kw_only=True)
class System:
    """Facts under their ECS names. Empty text means: not known, or that there is no system, as on a data disk."""

    platform: str = ""  #: The release, such as ``Debian``.
    architecture: str = ""  #: ``x86_64``, ``arm64`` or ``i386``.
    os_type: str = ""  #: ``linux`` or ``windows``.
    boot_mode: str = ""  #: ``BIOS``, ``UEFI`` or ``UEFI-Preferred``.
    imds_support: str = ""  #: ``v1`` or ``v2``.
    nvme_support: str = ""  #: ``supported`` or ``unsupported``.
    secure_boot: str = ""  #: ``supported`` or ``unsupported``.
    license_type: str = ""  #: ``Auto``, ``Aliyun`` or ``BYOL``.


#: Of a disk with no system on it.
NO_SYSTEM = System()
