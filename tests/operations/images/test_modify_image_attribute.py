"""ModifyImageAttribute, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Deployment, Quotas
from tests.clouds import OTHER, make_cloud
from tests.operations.images.gallery import an_image, shown
from tests.stock import an_instance


@pytest.fixture
def image(cloud):
    return an_image(cloud, name="web", family="webs", description="A web server.")


def modify(cloud, image, params=None, /, **more):
    assert cloud.call("ModifyImageAttribute", params, ImageId=image.id, **more) == {}
    return shown(cloud, image.id)


class TestChanges:
    def test_names_family_and_description(self, cloud, image):
        found = modify(cloud, image, ImageName="web-2", ImageFamily="sites", Description="Still a web server.")

        assert (found["ImageName"], found["ImageFamily"]) == ("web-2", "sites")
        assert found["Description"] == "Still a web server."

    def test_boot_mode_licence_and_features(self, cloud, image):
        given = {"Features.NvmeSupport": "supported", "Features.ImdsSupport": "v2"}

        found = modify(cloud, image, given, BootMode="UEFI-Preferred", LicenseType="BYOL")

        assert (found["BootMode"], found["LicenseType"]) == ("UEFI-Preferred", "BYOL")
        assert found["Features"]["NvmeSupport"] == "supported"
        assert found["Features"]["ImdsSupport"] == "v2"

    @pytest.mark.parametrize("given", [{}, {"ImageName": "", "ImageFamily": "", "Status": "", "BootMode": ""}])
    def test_nothing_that_is_not_sent_or_empty(self, cloud, image, given):
        before = shown(cloud, image.id)

        assert modify(cloud, image, given) == before

    def test_a_description_to_none_by_an_empty_one(self, cloud, image):
        assert modify(cloud, image, Description="About it.")["Description"] == "About it."
        assert modify(cloud, image, ImageName="other")["Description"] == "About it."
        assert modify(cloud, image, Description="")["Description"] == ""

    def test_to_what_is_there_already(self, cloud, image):
        an_instance(cloud, image=image.id)

        found = modify(cloud, image, ImageName="web", ImageFamily="webs", BootMode="BIOS")

        assert found["ImageName"] == "web"

    def test_an_image_that_failed(self, cloud):
        image = an_image(cloud, status="CreateFailed")

        assert modify(cloud, image, ImageName="failed")["ImageName"] == "failed"


class TestStatus:
    def test_takes_an_image_out_of_use_and_back(self, cloud, image):
        assert modify(cloud, image, Status="Deprecated", Description="Too old.")["Status"] == "Deprecated"
        assert modify(cloud, image, Status="Available")["Status"] == "Available"

    def test_refuses_to_deprecate_what_is_not_available(self, cloud):
        image = an_image(cloud, status="Deprecated")

        code = "ImageStatus.NotAvailable"
        cloud.refuses("ModifyImageAttribute", code, 403, ImageId=image.id, Status="Deprecated")

    def test_refuses_to_bring_back_what_is_not_deprecated(self, cloud, image):
        code = "ImageStatus.NotDeprecated"
        cloud.refuses("ModifyImageAttribute", code, 403, ImageId=image.id, Status="Available")

    def test_refuses_other_statuses(self, cloud, image):
        cloud.refuses("ModifyImageAttribute", "InvalidParameter", 400, ImageId=image.id, Status="CreateFailed")


class TestRefuses:
    def test_an_unknown_image(self, cloud):
        cloud.refuses("ModifyImageAttribute", "InvalidImageId.NotFound", 404, ImageId="m-unknown")

    def test_the_image_of_another_account(self, cloud, image):
        code = "InvalidImageId.NotFound"
        cloud.refuses("ModifyImageAttribute", code, 404, ImageId=image.id, ImageName="mine", account=OTHER)

    def test_an_image_that_is_creating(self, cloud):
        image = an_image(cloud, status="Creating")

        code = "InvalidStatus.ImageIsCreating"
        cloud.refuses("ModifyImageAttribute", code, 403, ImageId=image.id, ImageName="early")

    def test_the_name_of_another_image(self, cloud, image):
        an_image(cloud, name="taken")

        code = "InvalidImageName.Duplicated"
        refused = cloud.refuses("ModifyImageAttribute", code, 400, ImageId=image.id, ImageName="taken")

        assert "already bean used" in str(refused)

    def test_a_family_that_is_full_and_one_family_too_many(self, tmp_path, database):
        deployment = Deployment(quotas=Quotas(images_per_family=1, families=2))
        cloud = make_cloud(tmp_path, database, deployment=deployment)
        image = an_image(cloud, family="webs")
        an_image(cloud, family="dbs")

        full, many = "ImageQuotaFull.ImageFamily", "ImageFamilyQuotaFull"
        cloud.refuses("ModifyImageAttribute", full, 400, ImageId=image.id, ImageFamily="dbs")
        cloud.refuses("ModifyImageAttribute", many, 400, ImageId=image.id, ImageFamily="queues")

    def test_the_boot_mode_of_an_image_that_instances_were_made_of(self, cloud, image):
        an_instance(cloud, image=image.id)

        code = "OperationDeined.ImageUsingByInstance"
        cloud.refuses("ModifyImageAttribute", code, 403, ImageId=image.id, BootMode="UEFI")

    def test_bios_for_arm64(self, cloud):
        image = an_image(cloud, architecture="arm64", boot_mode="UEFI")

        code = "InvalidBootMode.NotSupport"
        refused = cloud.refuses("ModifyImageAttribute", code, 400, ImageId=image.id, BootMode="BIOS")

        assert "architecture" in str(refused)

    def test_bios_for_secure_boot(self, cloud):
        image = an_image(cloud, boot_mode="UEFI", secure_boot="supported")

        code = "InvalidBootMode.NotSupport"
        refused = cloud.refuses("ModifyImageAttribute", code, 400, ImageId=image.id, BootMode="BIOS")

        assert "architecture" not in str(refused)

    def test_going_back_to_the_first_metadata_service(self, cloud):
        image = an_image(cloud, imds_support="v2")

        code = "InvalidOperation.FeaturesImdsSupportNotMatch"
        given = {"Features.ImdsSupport": "v1"}
        cloud.refuses("ModifyImageAttribute", code, 403, given, ImageId=image.id)

    @pytest.mark.parametrize(
        ("code", "given"),
        [
            ("InvalidImageName.Malformed", {"ImageName": "acs:web"}),
            ("InvalidImageFamily.Malformed", {"ImageFamily": "1web"}),
            ("InvalidDescription.Malformed", {"Description": "http://web"}),
            ("InvalidLicenseType.NotSupported", {"LicenseType": "Auto"}),
            ("InvalidBootMode.NotSupport", {"BootMode": "PXE"}),
            ("InvalidParameter.FeaturesImdsSupport", {"Features.ImdsSupport": "v3"}),
        ],
    )
    def test_malformed_values(self, cloud, image, code, given):
        cloud.refuses("ModifyImageAttribute", code, 400, given, ImageId=image.id)


def test_rehearses_when_asked(cloud, image):
    cloud.refuses("ModifyImageAttribute", "DryRunOperation", 400, ImageId=image.id, ImageName="web-2", DryRun=True)
