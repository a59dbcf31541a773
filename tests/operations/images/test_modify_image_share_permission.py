"""ModifyImageSharePermission, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.accounts import Account, accounts
from kiln.store.shares import image_shares
from tests.clouds import ACCOUNT, OTHER
from tests.operations.images.gallery import (
    FAR,
    a_bucket,
    an_image,
    copied,
    share,
    shown,
    unshare,
    with_two_regions,
)
from tests.reading import every

SMALL = "ecs.t5-lc1m1.small"


def more_accounts(cloud, count):
    ids = [f"2{n:015}" for n in range(count)]

    def add(tx):
        for one in ids:
            accounts.insert(tx, Account(id=one, name=one, created_at=cloud.clock()))

    cloud.ports.database.write(add)
    return ids


def numbered(name, ids):
    return {f"{name}.{n}": one for n, one in enumerate(ids, 1)}


def receivers(cloud, image_id):
    return {one.account for one in every(cloud, image_shares, image=image_id)}


class TestShares:
    def test_with_accounts_and_takes_it_back(self, cloud):
        image = an_image(cloud)
        third, fourth = more_accounts(cloud, 2)

        cloud.call("ModifyImageSharePermission", numbered("AddAccount", [OTHER, third, OTHER]), ImageId=image.id)
        assert receivers(cloud, image.id) == {OTHER, third}
        assert shown(cloud, image.id)["IsSelfShared"] == "True"

        given = numbered("AddAccount", [fourth]) | numbered("RemoveAccount", [OTHER, third])
        cloud.call("ModifyImageSharePermission", given, ImageId=image.id)
        assert receivers(cloud, image.id) == {fourth}

        unshare(cloud, image.id, fourth)
        assert receivers(cloud, image.id) == set()
        assert shown(cloud, image.id)["IsSelfShared"] == ""

    def test_and_changes_nothing_without_accounts_whatever_the_status(self, cloud):
        for status in ("Creating", "Available", "Deprecated", "CreateFailed"):
            image = an_image(cloud, status=status)
            before = cloud.contents()

            assert cloud.call("ModifyImageSharePermission", ImageId=image.id, IsPublic=False) == {}
            assert cloud.contents() == before

    def test_again_what_is_shared_and_takes_back_what_is_not(self, cloud):
        image = an_image(cloud)
        unshare(cloud, image.id)
        share(cloud, image.id)
        before = cloud.contents()

        share(cloud, image.id)

        assert cloud.contents() == before

    def test_not_with_an_account_that_is_in_both_lists(self, cloud):
        image = an_image(cloud)

        given = {"AddAccount.1": OTHER, "RemoveAccount.1": OTHER}
        cloud.call("ModifyImageSharePermission", given, ImageId=image.id)

        assert receivers(cloud, image.id) == set()

    def test_with_the_first_ten_of_a_list_alone(self, cloud):
        image = an_image(cloud)
        ids = more_accounts(cloud, 12)

        cloud.call("ModifyImageSharePermission", numbered("AddAccount", ids), ImageId=image.id)

        assert receivers(cloud, image.id) == set(ids[:10])

    def test_a_copy_that_is_creating_in_its_own_region(self, cloud):
        with_two_regions(cloud)
        copy = copied(cloud, an_image(cloud).id)

        share(cloud, copy, RegionId=FAR)

        assert shown(cloud, copy, RegionId=FAR, account=OTHER)["Status"] == "Creating"
        cloud.settle()
        cloud.call("RunInstances", RegionId=FAR, ImageId=copy, InstanceType=SMALL, account=OTHER)

    def test_and_a_deprecated_image_is_shared_no_longer(self, cloud):
        image = an_image(cloud)
        share(cloud, image.id)
        cloud.call("ModifyImageAttribute", ImageId=image.id, Status="Deprecated")

        cloud.call("RunInstances", ImageId=image.id, InstanceType=SMALL, account=OTHER)
        unshare(cloud, image.id)

        assert receivers(cloud, image.id) == set()


class TestRefuses:
    def test_an_image_that_is_not_the_callers(self, cloud):
        image = an_image(cloud)
        share(cloud, image.id)

        given = {"AddAccount.1": ACCOUNT}
        for asked in ({"account": OTHER}, {"ImageId": "m-unknown"}):
            wanted = {"ImageId": image.id} | asked
            cloud.refuses("ModifyImageSharePermission", "InvalidImageId.NotFound", 404, given, **wanted)

    @pytest.mark.parametrize("name", ["AddAccount", "RemoveAccount"])
    @pytest.mark.parametrize("account", ["1000000000000009", "nobody", "1000000000000002 ", "9" * 4000, "%", "\uff11"])
    def test_an_account_that_is_not_there(self, cloud, name, account):
        image = an_image(cloud)

        code = "InvalidAccount.NotFound"
        cloud.refuses("ModifyImageSharePermission", code, 404, {f"{name}.1": account}, ImageId=image.id)

    @pytest.mark.parametrize("name", ["AddAccount", "RemoveAccount"])
    def test_the_callers_own_account(self, cloud, name):
        image = an_image(cloud)

        code = "InvalidAccount.Forbbiden"
        cloud.refuses("ModifyImageSharePermission", code, 404, {f"{name}.1": ACCOUNT}, ImageId=image.id)

    def test_everything_when_one_account_is_wrong(self, cloud):
        image = an_image(cloud)

        given = numbered("AddAccount", [OTHER, "1000000000000009"])
        cloud.refuses("ModifyImageSharePermission", "InvalidAccount.NotFound", 404, given, ImageId=image.id)

    def test_a_deprecated_image(self, cloud):
        image = an_image(cloud, status="Deprecated")

        code = "OperationDenied.InvalidImageStatus"
        cloud.refuses("ModifyImageSharePermission", code, 403, {"AddAccount.1": OTHER}, ImageId=image.id)

    def test_more_than_fifty_accounts(self, cloud):
        image = an_image(cloud)
        ids = more_accounts(cloud, 51)
        for start in range(0, 50, 10):
            given = numbered("AddAccount", ids[start : start + 10])
            cloud.call("ModifyImageSharePermission", given, ImageId=image.id)

        code = "QuotaExceed.ShareImageUser"
        cloud.refuses("ModifyImageSharePermission", code, 403, {"AddAccount.1": ids[50]}, ImageId=image.id)
        exchanged = {"AddAccount.1": ids[50], "RemoveAccount.1": ids[0]}
        cloud.call("ModifyImageSharePermission", exchanged, ImageId=image.id)

    def test_the_public(self, cloud):
        image = an_image(cloud)

        code = "CurrentRegion.NotSupportPublicImage"
        cloud.refuses("ModifyImageSharePermission", code, 403, ImageId=image.id, IsPublic=True)

    def test_a_launch_permission(self, cloud):
        image = an_image(cloud)

        given = {"LaunchPermission": "EXAMPLE"}
        code = "ForbiddenParameter.LaunchPermission"
        cloud.refuses("ModifyImageSharePermission", code, 400, given, ImageId=image.id)
        given["AddAccount.1"] = OTHER
        code = "UnnecessaryParameter.LaunchPermission"
        cloud.refuses("ModifyImageSharePermission", code, 400, given, ImageId=image.id)


class TestWhatAReceiverCannotDo:
    @pytest.mark.parametrize(
        ("action", "more"),
        [
            ("DeleteImage", {"Force": True}),
            ("ModifyImageAttribute", {"ImageName": "mine"}),
            ("ModifyImageSharePermission", {}),
            ("DescribeImageSharePermission", {}),
            ("CancelCopyImage", {}),
            ("ExportImage", {"OSSBucket": "testbucket"}),
        ],
    )
    def test_change_export_or_share_on_an_image_of_anothers(self, cloud, action, more):
        a_bucket(cloud)
        image = an_image(cloud)
        share(cloud, image.id)

        cloud.refuses(action, "InvalidImageId.NotFound", 404, ImageId=image.id, account=OTHER, **more)

    def test_put_tags_on_it(self, cloud):
        image = an_image(cloud)
        share(cloud, image.id)

        given = {"ResourceId.1": image.id, "Tag.1.Key": "k"}
        cloud.refuses("TagResources", "InvalidResourceId.NotFound", 404, given, ResourceType="image", account=OTHER)

    def test_use_its_snapshots(self, cloud):
        image = an_image(cloud)
        share(cloud, image.id)
        (mapping,) = shown(cloud, image.id)["DiskDeviceMappings"]["DiskDeviceMapping"]
        snapshot = mapping["SnapshotId"]

        cloud.refuses("CreateImage", "InvalidSnapshotId.NotFound", 404, SnapshotId=snapshot, account=OTHER)
        cloud.refuses("DeleteSnapshot", "InvalidSnapshotId.NotFound", 404, SnapshotId=snapshot, account=OTHER)


class TestDeleteImage:
    def test_is_refused_while_it_is_shared(self, cloud):
        image = an_image(cloud)
        share(cloud, image.id)

        cloud.refuses("DeleteImage", "ImageUseShared", 403, ImageId=image.id, Force=True)
        unshare(cloud, image.id)

        cloud.call("DeleteImage", ImageId=image.id)


def test_rehearses_when_asked(cloud):
    image = an_image(cloud)

    given = {"AddAccount.1": OTHER}
    cloud.refuses("ModifyImageSharePermission", "DryRunOperation", 400, given, ImageId=image.id, DryRun=True)
