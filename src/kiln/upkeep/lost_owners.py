"""What the rows of resources name as their owner or their plan, and whose records were lost.

An account is made again under its own ID: its resources are nobody's without
it, and with a new key it has them all. So are its resource groups and snapshot
groups, as their members tell of them. A policy for automatic snapshots is not:
nobody knows its hours any more, and disks that went on naming it would seem to
be backed up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kiln.calls.call import Ports
from kiln.operations.steps.resource_groups import known_to_all
from kiln.store.accounts import Account, ResourceGroup, accounts, resource_groups
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.resources import accounts_named, groups_named
from kiln.store.snapshot_groups import SnapshotGroup, snapshot_groups
from kiln.store.snapshot_policies import snapshot_policies
from kiln.store.snapshots import Snapshot, snapshots
from kiln.upkeep.findings import Finding

_LOST = "is named, and its record is lost"


def lost_owners(tx: Transaction, ports: Ports) -> list[Finding]:
    """Make again what is named and is not there, or have nobody name it any more."""
    return [*_accounts(tx), *_snapshot_groups(tx), *_resource_groups(tx, ports), *_policies(tx)]


def _accounts(tx: Transaction) -> Iterator[Finding]:
    known = {one.id for one in accounts.all(tx)}
    began = {account: first for account, first in accounts_named(tx).items() if account not in known}
    for account, first in sorted(began.items()):
        accounts.insert(tx, Account(id=account, name=account, created_at=first))
        yield _again(account, f"it is an account named {account} again, without its users, and gets new keys")


def _snapshot_groups(tx: Transaction) -> Iterator[Finding]:
    known = {one.id for one in snapshot_groups.all(tx)}
    members: dict[str, Snapshot] = {}
    for row in snapshots.all(tx, snapshots.c.snapshot_group != ""):
        if row.snapshot_group not in known:
            members.setdefault(row.snapshot_group, row)
    for group, one in sorted(members.items()):
        again = SnapshotGroup(
            id=group,
            account=one.account,
            region=one.region,
            name=one.name,
            description=one.description,
            instance=one.instance,
            resource_group=one.resource_group,
            created_at=one.created_at,
        )
        snapshot_groups.insert(tx, again)
        yield _again(group, "it is a snapshot group again, by its snapshots, without tags")


def _resource_groups(tx: Transaction, ports: Ports) -> Iterator[Finding]:
    known = {(one.account, one.id) for one in resource_groups.all(tx)}
    for account, group in sorted(groups_named(tx) - known):
        if group not in known_to_all(ports.deployment, account):
            resource_groups.insert(tx, ResourceGroup(id=group, account=account, name=group))
            yield _again(group, f"it is a resource group of {account} again, named by its ID")


def _policies(tx: Transaction) -> Iterator[Finding]:
    known = [one.id for one in snapshot_policies.all(tx)]
    without: dict[str, list[str]] = {}
    for disk in disks.all(tx, disks.c.snapshot_policy != "", disks.c.snapshot_policy.not_in(known)):
        without.setdefault(disk.snapshot_policy, []).append(disk.id)
    for policy, ids in sorted(without.items()):
        disks.update(tx, {"snapshot_policy": ""}, snapshot_policy=policy)
        text = f"no snapshots are taken any more of {_listed(ids)}, until they are given another policy"
        yield Finding("broken", policy, f"{_LOST}: {text}")


def _again(name: str, what: str) -> Finding:
    return Finding("repaired", name, f"{_LOST}; {what}")


def _listed(ids: Collection[str]) -> str:
    return ", ".join(sorted(ids))
