"""A lost or older database is written again from what the pool has."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

from kiln.calls.places import place_of
from kiln.pools.port import Succession
from kiln.pools.records import NAME
from kiln.service.claim import hold_data_folder
from kiln.service.errors import DeploymentRefused
from kiln.service.rebuilding import rebuilt
from kiln.store import documents
from kiln.store.accounts import Account, accounts
from kiln.store.disks import disks
from kiln.store.interfaces import primary_of
from kiln.store.security_groups import security_groups
from kiln.store.snapshots import snapshots
from kiln.store.tasks import fail, tasks
from kiln.store.volumes import volumes
from kiln.store.vswitches import vswitches
from kiln.store.webhooks import webhooks
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from kiln.upkeep.rebuild import WORDS as REBUILD_WORDS
from kiln.upkeep.sweep import sweep
from tests.operations.images.gallery import FAR
from tests.operations.resource_groups.groups import a_resource_group
from tests.pools.kills import killed_at, points_of
from tests.pools.patterns import holds, put
from tests.reading import the
from tests.service.pairs import Home, as_cloud
from tests.stock import a_policy, an_instance
from tests.tools import needs

RECEIVER = "2000000000000002"


@contextmanager
def rebuilding(home):
    with hold_data_folder(home.data), rebuilt(home.settings) as (it, outcome):
        yield it, outcome


def rebuild(home):
    """Rebuild, and look; what is to be said of it."""
    with rebuilding(home) as (it, outcome):
        return [*outcome.rebuilt.findings, *fsck(it.ports, repair=True, say=lambda _: None)], outcome


def answers(cloud):
    """All that the API says of what there is."""
    said = {
        action: cloud.call(action, PageSize=50)
        for action in ("DescribeImages", "DescribeSnapshots", "DescribeDisks", "DescribeInstances")
    }
    for image in said["DescribeImages"]["Images"]["Image"]:
        said[image["ImageId"]] = cloud.call("DescribeImageSharePermission", ImageId=image["ImageId"])
    said |= {f"{action} there": cloud.call(action, RegionId=FAR) for action in ("DescribeImages", "DescribeSnapshots")}
    for one in said.values():
        one.pop("RequestId", None)
    return said


def bytes_of(cloud):
    """Which volumes there are, and whether each holds its byte."""
    with cloud.ports.database.read() as tx:
        return {row.id: (row.kind, row.parent, row.size_bytes, row.state) for row in volumes.all(tx)}


def fill(cloud):
    """Images from an instance with data disks, from a snapshot, and an imported one; the heads hold a byte each."""
    needs("qemu-img", "qemu-io", "qemu-storage-daemon")
    instance = an_instance(cloud, data_disks=2, account=cloud.account)
    with cloud.ports.database.read() as tx:
        heads = [disk.volume for disk in disks.all(tx, instance=instance.id)]
    for n, head in enumerate(heads):
        put(cloud.ports.pool, head, {0: n + 1})
    image = cloud.call(
        "CreateImage",
        InstanceId=instance.id,
        ImageName="of-an-instance",
        ImageFamily="family",
        Description="of three disks",
        **{"Tag.1.Key": "team", "Tag.1.Value": "ü"},
    )["ImageId"]
    cloud.settle()
    (found,) = cloud.call("DescribeImages", ImageId=image)["Images"]["Image"]
    snapshot = found["DiskDeviceMappings"]["DiskDeviceMapping"][0]["SnapshotId"]
    cloud.call("CreateImage", SnapshotId=snapshot, ImageName="of-a-snapshot", Platform="Debian", BootMode="UEFI")
    cloud.call("CopyImage", ImageId=image, DestinationImageName="copied", DestinationRegionId=FAR)
    receiver = Account(id=RECEIVER, name="receiver", created_at=cloud.ports.clock())
    cloud.ports.database.write(lambda tx: accounts.insert(tx, receiver))
    cloud.call("ModifyImageSharePermission", {"AddAccount.1": receiver.id}, ImageId=image)
    folder = cloud.folder / "buckets" / "b"
    folder.mkdir(parents=True)
    (folder / "o").write_bytes(b"\x01" * 1024 * 1024)
    cloud.call(
        "ImportImage",
        ImageName="imported",
        Platform="Debian",
        **{"DiskDeviceMapping.1.OSSBucket": "b", "DiskDeviceMapping.1.OSSObject": "o"},
    )
    cloud.settle()
    return instance.id


@pytest.fixture
def filled(tmp_path):
    """A data folder with all that, what the API says of it, and its account."""
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        fill(cloud)
        return home, answers(cloud), cloud.account, bytes_of(cloud)


def is_whole(home, said, account, known):
    with home.started() as it:
        cloud = as_cloud(it)
        assert cloud.account == account
        assert answers(cloud) == said
        assert bytes_of(cloud) == known
        with it.database.read() as tx:
            heads = [disk.volume for disk in disks.all(tx) if disk.instance]
        assert sorted(next(n for n in (1, 2, 3) if holds(it.pool, head, {0: n})) for head in heads) == [1, 2, 3]
        sweep(it.ports)
        assert bytes_of(cloud) == known


def test_every_image_is_back_when_the_database_is_lost(filled):
    home, *all_of_it = filled
    home.forget_database()

    found, outcome = rebuild(home)

    assert is_well(found), found
    assert outcome.rebuilt.written["image"] == 4
    assert {keys.account for keys in outcome.keys} == {all_of_it[1], RECEIVER}
    is_whole(home, *all_of_it)


def test_a_webhook_is_back_with_its_secret_and_told_that_it_has_missed_something(tmp_path):
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        made = cloud.call("CreateWebhook", Url="https://events.example.com/")
        it.database.write(lambda tx: webhooks.update(tx, {"delivered": 7, "missed_before": 2}))
    home.forget_database()

    assert is_well(rebuild(home)[0])

    with home.started() as it:
        row = the(as_cloud(it), webhooks)
        assert (row.id, it.ports.unseal(row.sealed_secret)) == (made["WebhookId"], made["Secret"])
        assert (row.missed, row.missed_before, row.delivered) == (1, 2, 0)


def test_says_of_every_kind_what_it_is():
    assert REBUILD_WORDS.keys() == documents.KINDS.keys()


def test_it_may_be_done_twice_and_when_nothing_is_wrong(filled):
    home, *all_of_it = filled
    assert is_well(rebuild(home)[0])
    home.forget_database()
    for _ in range(2):
        assert is_well(rebuild(home)[0])

    is_whole(home, *all_of_it)


def test_an_older_database_is_brought_up_to_date(filled, tmp_path):
    home, *_ = filled
    old = home.copy(tmp_path / "old")
    with home.started() as it:
        cloud = as_cloud(it)
        (gone,) = [
            one["ImageId"]
            for one in cloud.call("DescribeImages", ImageOwnerAlias="self")["Images"]["Image"]
            if one["ImageName"] == "of-a-snapshot"
        ]
        cloud.call("DeleteImage", ImageId=gone)
        instance = cloud.call("DescribeInstances")["Instances"]["Instance"][0]["InstanceId"]
        cloud.call("CreateImage", InstanceId=instance, ImageName="newer")
        cloud.settle()
        said, known = answers(cloud), bytes_of(cloud)
    home.take_database_of(old)

    found, outcome = rebuild(home)

    assert is_well(found), found
    assert {keys.account for keys in outcome.keys} == {RECEIVER}  # Which had none.
    is_whole(home, said, filled[2], known)


def test_a_pool_without_its_identity_gets_it_back(filled):
    home, *all_of_it = filled
    for content in (None, b"", b'{"format'):
        (home.pool / ".kiln" / "identity").unlink()
        if content is not None:
            (home.pool / ".kiln" / "identity").write_bytes(content)
        assert is_well(rebuild(home)[0])
        is_whole(home, *all_of_it)


def test_halves_of_two_deployments_are_not_mixed(filled, tmp_path):
    home, *_ = filled
    other = Home(tmp_path / "other")
    other.start()
    home.take_database_of(other)
    before = home.content()

    with pytest.raises(DeploymentRefused, match="more than one deployment"):
        rebuild(home)
    assert home.content() == before


def test_a_pool_without_records_is_left_alone(filled):
    home, *_ = filled
    shutil.rmtree(home.pool / ".kiln")
    home.forget_database()
    before = home.content()

    with pytest.raises(DeploymentRefused, match="no records"):
        rebuild(home)
    assert home.content() == before


@pytest.mark.slow
def test_a_kill_at_any_line_loses_nothing(filled, tmp_path):
    home, *all_of_it = filled
    home.forget_database()
    whole = home.copy(tmp_path / "whole")
    points = points_of(lambda: rebuild(whole))
    steps = {point: number for number, point in enumerate(points)}  # The last passing of each: every step is in there.
    assert {"rebuild.noted", "rebuild.committed", "rebuild.done", "rebuild.keys_made"} <= steps.keys()
    for point, number in steps.items():
        folder = home.copy(tmp_path / str(number))
        assert killed_at(number, lambda folder=folder: rebuild(folder)), point
        rebuild(folder)
        is_whole(folder, *all_of_it)
        shutil.rmtree(folder.data)


def test_what_a_damaged_record_named_is_set_aside_and_not_dropped(filled):
    home, *_ = filled
    file = home.pool / ".kiln" / NAME
    lines = file.read_bytes().splitlines(keepends=True)
    at = max(n for n, line in enumerate(lines) if b'"kind":"snapshot"' in line and b'"made_for":""' not in line)
    lines[at] = lines[at].replace(b"accomplished", b"aCcomplished")
    file.write_bytes(b"".join(lines))
    home.forget_database()
    before = {path.name for path in home.pool.glob("*.qcow2")}

    found, _ = rebuild(home)

    assert not is_well(found)
    assert "cannot be read" in found[0].text
    there = {path.name for path in home.pool.glob("*.qcow2")}
    aside = (
        {path.name for path in (home.pool / "lost+found").glob("*")} if (home.pool / "lost+found").exists() else set()
    )
    assert there | aside == before
    with home.started() as it:
        sweep(it.ports)
    assert {path.name for path in home.pool.glob("*.qcow2")} == there


def test_work_that_was_half_way_goes_on_or_is_failed(tmp_path):
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        instance = an_instance(cloud, account=cloud.account)
        image = cloud.call("CreateImage", InstanceId=instance.id, ImageName="half")["ImageId"]
    home.forget_database()

    found, _ = rebuild(home)

    assert is_well(found), found
    with home.started() as it:
        cloud = as_cloud(it)
        cloud.settle()
        (one,) = cloud.call("DescribeImages", ImageId=image)["Images"]["Image"]
        assert one["Status"] == "Available"


def test_a_capture_after_the_last_record_moves_the_disk_to_its_heir(tmp_path):
    home = Home(tmp_path / "home")
    with home.started() as it:
        an_instance(as_cloud(it), account=as_cloud(it).account)
    with home.started(records=False) as it:
        cloud = as_cloud(it)
        with it.database.read() as tx:
            (disk,) = disks.all(tx)
        cloud.call("CreateImage", InstanceId=disk.instance, ImageName="unrecorded")
        cloud.settle()
        with it.database.read() as tx:
            heir = disks.find(tx, id=disk.id).volume
        put(it.pool, heir, {0: 7})
    home.forget_database()

    rebuild(home)

    with home.started() as it:
        with it.database.read() as tx:
            assert disks.find(tx, id=disk.id).volume == heir
            assert volumes.find(tx, id=disk.volume).kind == "layer"
        assert holds(it.pool, heir, {0: 7})
        it.pool.grant(heir, None)


def test_what_was_merged_by_a_task_that_has_ended_is_written_down(tmp_path):
    """The volumes of a merge that failed bore its name for good; a pool of that time may be rebuilt today."""
    needs("qemu-img", "qemu-io")
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        an_instance(cloud, account=cloud.account)
        with it.database.read() as tx:
            (disk,) = disks.all(tx)
        snapshot = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
        cloud.settle()
        cloud.call("DeleteSnapshot", SnapshotId=snapshot)
        sweep(it.ports)
        (merge,) = cloud.open_tasks()
        it.ports.pool.absorb(merge.resource, None)
        it.database.write(lambda tx: fail(tx, merge, cloud.clock(), "InternalError", ""))
        with it.database.read() as tx:
            assert volumes.find(tx, id=merge.resource).task == merge.id

    with rebuilding(home) as (it, _), it.database.read() as tx:
        assert volumes.find(tx, id=merge.resource).parent is None


def test_a_copy_that_nobody_makes_any_more_lets_go_of_its_layer(tmp_path):
    """Failed, it went on naming a layer, which was kept for it, or was gone without a word of that."""
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        an_instance(cloud, account=cloud.account)
        with it.database.read() as tx:
            (disk,) = disks.all(tx)
        snapshot = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
        cloud.settle()
        copy = cloud.call("CopySnapshot", SnapshotId=snapshot, DestinationRegionId=FAR)["SnapshotId"]
        it.database.write(lambda tx: tasks.delete(tx, resource=copy))
    home.forget_database()

    found, _ = rebuild(home)

    assert is_well(found), found
    assert copy in [finding.subject for finding in found]
    with home.started() as it, it.database.read() as tx:
        failed = snapshots.find(tx, id=copy)
        assert (failed.status, failed.volume) == ("failed", None)


def test_owners_and_plans_whose_records_are_lost_are_there_again_or_told(tmp_path):
    """Else resources are in no list, and disks seem to be backed up by a policy that nobody has."""
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        group = a_resource_group(cloud)
        instance = an_instance(cloud, account=cloud.account, resource_group=group)
        captured = cloud.call("CreateSnapshotGroup", InstanceId=instance.id, Name="nightly")["SnapshotGroupId"]
        cloud.settle()
        policy = a_policy(cloud, account=cloud.account).id
        cloud.ports.database.write(lambda tx: disks.update(tx, {"snapshot_policy": policy}, instance=instance.id))
        with it.database.read() as tx:
            (disk,) = disks.all(tx)
        said = cloud.call("DescribeSnapshotGroups")["SnapshotGroups"]
        account = cloud.account
    _damage(home, "account", "snapshotgroup", "snapshotpolicy")
    home.forget_database()

    found, outcome = rebuild(home)

    told = {one.subject: one for one in found}
    assert {name: told[name].sort for name in (account, group, captured, policy)} == {
        account: "repaired",
        group: "repaired",
        captured: "repaired",
        policy: "broken",
    }
    assert disk.id in told[policy].text
    assert [keys.account for keys in outcome.keys] == [account]
    with home.started() as it:
        cloud = as_cloud(it)
        assert cloud.account == account
        assert cloud.call("DescribeSnapshotGroups")["SnapshotGroups"] == said
        (shown,) = cloud.call("DescribeInstances", ResourceGroupId=group)["Instances"]["Instance"]
        assert shown["InstanceId"] == instance.id
        (shown,) = cloud.call("DescribeDisks")["Disks"]["Disk"]
        assert (shown["AutoSnapshotPolicyId"], shown["EnableAutomatedSnapshotPolicy"]) == ("", False)
        assert cloud.call("GetResourceGroup", ResourceGroupId=group)["ResourceGroup"]["Name"] == group


def test_says_what_is_lost_with_a_record_that_nothing_else_tells_of(tmp_path):
    """Only the number of such records was told."""
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        lost = cloud.call("CreateLaunchTemplate", LaunchTemplateName="lost")["LaunchTemplateId"]
        changed = cloud.call("CreateLaunchTemplate", LaunchTemplateName="changed")["LaunchTemplateId"]
    with home.started() as it:
        as_cloud(it).call("CreateLaunchTemplateVersion", LaunchTemplateId=changed, VersionDescription="later")
    with home.started() as it:
        as_cloud(it).call("CreateLaunchTemplate", LaunchTemplateName="last")  # Else the one before may be cut short.
    file = home.pool / ".kiln" / NAME
    lines = file.read_bytes().splitlines(keepends=True)
    damaged = {lost: None, changed: None}
    for n, line in enumerate(lines):
        damaged |= {name: n for name in damaged if f'"id":"{name}","kind"'.encode() in line}
    for n in damaged.values():
        lines[n] = lines[n].replace(b"{", b"(", 1)
    file.write_bytes(b"".join(lines))
    home.forget_database()

    found, _ = rebuild(home)

    told = {one.subject: (one.sort, one.text) for one in found}
    assert told[lost] == ("broken", "its newest record cannot be read, and the launch template is not there")
    assert told[changed] == (
        "broken",
        "its newest record cannot be read: the launch template is as it was before that",
    )


def _damage(home, *kinds):
    """Have the records of these kinds be such as nobody can read."""
    file = home.pool / ".kiln" / NAME
    marks = [f'"kind":"{kind}"'.encode() for kind in kinds]
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(line.replace(b"{", b"(", 1) if any(m in line for m in marks) else line for line in lines))


def test_a_network_whose_records_are_lost_is_there_again(tmp_path):
    """Its instances could not be started, and all was said to be well."""
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        instance = an_instance(cloud, account=cloud.account)
        with it.database.read() as tx:
            card = primary_of(tx, instance.id)
        it.database.write(lambda tx: vswitches.delete(tx, id=card.vswitch))
        it.database.write(lambda tx: security_groups.delete(tx, vpc=card.vpc))
    home.forget_database()

    found, outcome = rebuild(home)

    assert is_well(found), found
    assert card.vswitch in [finding.subject for finding in outcome.rebuilt.findings]
    with home.started() as it, it.database.read() as tx:
        assert primary_of(tx, instance.id) == card
        assert place_of(tx, card.vpc, "local") is not None
        assert security_groups.count(tx, vpc=card.vpc) == 1


def test_an_heir_that_lost_its_record_is_settled_by_the_task_that_makes_it(tmp_path):
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        instance = an_instance(cloud, account=cloud.account)
        image = cloud.call("CreateImage", InstanceId=instance.id, ImageName="half")["ImageId"]
        with it.database.read() as tx:
            (heir,) = volumes.all(tx, state="planned")
            (disk,) = disks.all(tx)
        it.pool.freeze([Succession(disk.volume, heir.id)], None)
    file = home.pool / ".kiln" / NAME
    lines = file.read_bytes().splitlines(keepends=True)
    lines = [line.replace(b"planned", b"pLanned") if b'"kind":"volume"' in line else line for line in lines]
    file.write_bytes(b"".join(lines))
    home.forget_database()

    with rebuilding(home) as (it, _), it.database.read() as tx:
        assert disks.find(tx, id=disk.id).volume == disk.volume

    with home.started() as it:
        cloud = as_cloud(it)
        cloud.settle()
        (one,) = cloud.call("DescribeImages", ImageId=image)["Images"]["Image"]
        assert one["Status"] == "Available"
        with it.database.read() as tx:
            assert volumes.find(tx, id=heir.id).state == "ready"
            assert disks.find(tx, id=disk.id).volume == heir.id
