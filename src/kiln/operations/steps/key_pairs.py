"""The key pair that an instance is to have."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.operations.errors.key_pairs import DependencyViolationWindowsInstance
from kiln.store.key_pairs import KeyPair, key_pairs


def find_named(call: Call, region: str, name: str, missing: type[ApiError]) -> KeyPair:
    """The caller's own key pair of that name in the region. Raises *missing*."""
    row = key_pairs.find(call.tx, account=call.account, region=region, name=name)
    if row is None:
        raise missing(key_pair_name=name)
    return row


def check_usable(call: Call, region: str, name: str | None, os_type: str, missing: type[ApiError]) -> None:
    """Raise *missing*, DependencyViolationWindowsInstance; None, for no key pair, is always right."""
    if name is None:
        return
    find_named(call, region, name, missing)
    if os_type == "windows":
        raise DependencyViolationWindowsInstance
