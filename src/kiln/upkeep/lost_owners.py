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
from kiln.upkeep.findings import Finding, mended

_LOST = "is named, and its record is lost"


def lost_owners(tx: Transaction, ports: Ports, *, repair: bool) -> list[Finding]:
    """Look for what is named and is not there, and with *repair* make it again, or have nobody name it any more."""
    return [
        *_accounts(tx, repair=repair),
        *_snapshot_groups(tx, repair=repair),
        *_resource_groups(tx, ports, repair=repair),
        *_policies(tx, repair=repair),
    ]


def _accounts(tx: Transaction, *, repair: bool) -> Iterator[Finding]:
    known = {one.id for one in accounts.all(tx)}
    began = {account: first for account, first in accounts_named(tx).items() if account not in known}
    for account, first in sorted(began.items()):
        if repair:
            accounts.insert(tx, Account(id=account, name=account, created_at=first))
        what = f"without its users; where no new keys of it are shown, `kiln account keys add {account}` makes some"
        yield _again(account, f"an account named {account} again, {what}", repair=repair)


def _snapshot_groups(tx: Transaction, *, repair: bool) -> Iterator[Finding]:
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
        if repair:
            snapshot_groups.insert(tx, again)
        yield _again(group, "a snapshot group again, by its snapshots, without tags", repair=repair)


def _resource_groups(tx: Transaction, ports: Ports, *, repair: bool) -> Iterator[Finding]:
    known = {(one.account, one.id) for one in resource_groups.all(tx)}
    for account, group in sorted(groups_named(tx) - known):
        if group not in known_to_all(ports.deployment, account):
            if repair:
                resource_groups.insert(tx, ResourceGroup(id=group, account=account, name=group))
            yield _again(group, f"a resource group of {account} again, named by its ID", repair=repair)


def _policies(tx: Transaction, *, repair: bool) -> Iterator[Finding]:
    known = [one.id for one in snapshot_policies.all(tx)]
    without: dict[str, list[str]] = {}
    for disk in disks.all(tx, disks.c.snapshot_policy != "", disks.c.snapshot_policy.not_in(known)):
        without.setdefault(disk.snapshot_policy, []).append(disk.id)
    for policy, ids in sorted(without.items()):
        if repair:
            disks.update(tx, {"snapshot_policy": ""}, snapshot_policy=policy)
        text = f"no snapshots are taken any more of {_listed(ids)}, until they are given another policy"
        yield Finding("broken", policy, f"{_LOST}: {text}")


def _again(name: str, what: str, *, repair: bool) -> Finding:
    return mended(name, _LOST, done=f"it is {what}", would=f"it would be {what}", repair=repair)


def _listed(ids: Collection[str]) -> str:
    return ", ".join(sorted(ids))
