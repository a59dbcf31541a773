"""Ways through the console that some people have no other than: without script, and with the keyboard alone."""

from __future__ import annotations

import pytest

from kiln.console.texts import Texts
from tests.browser.keyboard import press, type_into
from tests.browser.stocked import TYPE, open_stocked
from tests.browser.windows import open_window

t = Texts("en")
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    """A served Kiln with something of everything, and a client of it."""
    with open_stocked(tmp_path_factory.mktemp("stocked") / "data") as opened:
        yield opened


def test_an_image_is_made_without_script(browser, stocked):
    served, client = stocked
    (instance,) = client.call("DescribeInstances", InstanceName="web")["Instances"]["Instance"]
    with open_window(browser, served.endpoint, java_script_enabled=False) as window:
        page = window.page
        page.goto("/console/sign-in")
        page.get_by_label("AccessKey ID").fill(served.access_key_id)
        page.get_by_label("AccessKey secret").fill(served.secret)
        page.get_by_role("button", name=t("entrance.sign_in")).click()
        page.goto("/console/images")
        page.get_by_role("link", name=t("do.CreateImage")).click()
        page.get_by_label("InstanceId").fill(instance["InstanceId"])
        page.get_by_label("ImageName").fill("without-script")
        page.get_by_role("button", name=t("form.check")).click()
        before = client.call("DescribeImages", ImageName="without-script", Status="ALL")["TotalCount"]
        page.get_by_role("button", name=t("do.CreateImage")).click()

        assert page.get_by_role("heading", level=1).inner_text().startswith("without-script")
        (made,) = client.call("DescribeImages", ImageName="without-script", Status="ALL")["Images"]["Image"]
        assert (before, page.url.rpartition("/")[2]) == (0, made["ImageId"])


def test_an_instance_is_run_and_stopped_and_released_by_the_keyboard(browser, stocked):
    served, client = stocked
    with open_window(browser, served.endpoint) as window:
        page = window.page
        page.goto("/console/sign-in")
        type_into(page, "AccessKey ID", served.access_key_id)
        type_into(page, "AccessKey secret", served.secret)
        press(page, t("entrance.sign_in"))
        page.wait_for_url("**/console/")
        press(page, t("noun.images"))
        (image,) = client.call("DescribeImages", ImageName="web-1")["Images"]["Image"]
        press(page, image["ImageId"])
        press(page, t("do.RunInstances"))
        type_into(page, "InstanceType", TYPE)
        type_into(page, "InstanceName", "by-keyboard")
        press(page, t("form.check"))
        press(page, t("do.RunInstances"))
        (made,) = client.call("DescribeInstances", InstanceName="by-keyboard")["Instances"]["Instance"]
        page.goto(f"/console/instances/{made['InstanceId']}")
        page.get_by_text("Running").first.wait_for()
        press(page, t("do.DeleteInstance"))
        type_into(page, "Force", "t")
        press(page, t("form.check"))
        press(page, t("do.DeleteInstance"))

        assert client.call("DescribeInstances", InstanceName="by-keyboard")["TotalCount"] == 0
