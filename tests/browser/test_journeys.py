"""Ways through the console that some people have no other than: without script, and with the keyboard alone."""

from __future__ import annotations

import re

import pytest

from kiln.console.texts import Texts
from tests.browser.keyboard import press, type_into
from tests.browser.stocked import TYPE, open_stocked
from tests.browser.windows import open_window

t = Texts("en")
pytestmark = pytest.mark.browser


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
        sign_in(page, served)
        page.goto("/console/images")
        page.get_by_role("link", name=t("do.CreateImage")).click()
        page.get_by_label("InstanceId").fill(instance["InstanceId"])
        page.get_by_label("ImageName").fill("without-script")
        page.get_by_role("button", name=t("form.check")).click()
        before = client.call("DescribeImages", ImageName="without-script", Status="ALL")["TotalCount"]
        page.get_by_role("button", name=t("do.CreateImage")).click()
        page.wait_for_url(re.compile(r"/console/images/m-\w+$"))

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


@pytest.mark.parametrize("has_script", [True, False])
def test_the_menu_leaves_a_telephones_screen_to_the_page(browser, stocked, has_script):
    served, _ = stocked
    phone = {"width": 400, "height": 740}
    with open_window(browser, served.endpoint, viewport=phone, java_script_enabled=has_script) as window:
        page = window.page
        sign_in(page, served)
        menu = page.get_by_role("navigation", name=t("layout.menu"), exact=True)

        assert page.locator("main").bounding_box()["y"] < phone["height"] / 6
        assert not menu.is_visible()
        page.locator(".fold summary").press("Enter")
        menu.get_by_role("link", name=t("noun.images")).click()
        page.get_by_role("heading", level=1, name=t("noun.images")).wait_for()
        assert not menu.is_visible()
        page.set_viewport_size({"width": 1280, "height": 800})
        assert menu.is_visible()
        assert not page.locator(".fold").is_visible()


def test_enter_checks_a_form_and_adds_no_row(browser, stocked):
    served, client = stocked
    with open_window(browser, served.endpoint) as window:
        page = window.page
        sign_in(page, served)
        page.goto("/console/images/ImportImage")
        rows = page.locator("fieldset.thing[id^='DiskDeviceMapping']")
        assert rows.count() == 1
        page.get_by_role("button", name=t("form.another", what="DiskDeviceMapping")).press("Enter")
        page.wait_for_url("**/ImportImage#DiskDeviceMapping")
        assert rows.count() == 2
        page.get_by_label("OSSBucket").first.fill("disks")
        page.get_by_label("OSSObject").first.fill("debian-12.raw")
        page.get_by_label("ImageName").fill("entered")
        page.get_by_label("ImageName").press("Enter")
        page.get_by_text(t("form.would")).wait_for()
        with page.expect_navigation():
            page.get_by_label("ImageName").press("Enter")
        page.get_by_text(t("form.would")).wait_for()

        assert rows.count() == 2
        assert client.call("DescribeImages", ImageName="entered", Status="ALL")["TotalCount"] == 0


def test_a_name_is_checked_while_it_is_typed(browser, stocked):
    served, client = stocked
    (instance,) = client.call("DescribeInstances", InstanceName="web")["Instances"]["Instance"]
    with open_window(browser, served.endpoint) as window:
        page = window.page
        sign_in(page, served)
        page.goto(f"/console/instances/{instance['InstanceId']}/CreateImage")
        page.get_by_label("ImageName").press_sequentially("1st")
        verdict = page.locator("#verdict")
        verdict.get_by_text("InvalidImageName.Malformed").wait_for()
        page.get_by_label("ImageName").press("ControlOrMeta+a")
        page.keyboard.type("first-of-all")
        verdict.get_by_text(t("form.passes")).wait_for()

        assert page.get_by_label("ImageName").evaluate("field => field === document.activeElement")
        assert client.call("DescribeImages", ImageName="first-of-all", Status="ALL")["TotalCount"] == 0


@pytest.mark.parametrize("may_copy", [True, False])
def test_a_request_is_copied_or_marked_at_a_press(browser, stocked, may_copy):
    """A browser lets no page that came in the clear from another machine write what others paste."""
    served, client = stocked
    (image,) = client.call("DescribeImages", ImageName="web-1")["Images"]["Image"]
    rights = {"permissions": ["clipboard-read", "clipboard-write"]} if may_copy else {}
    with open_window(browser, served.endpoint, **rights) as window:
        page = window.page
        if not may_copy:
            page.add_init_script("Object.defineProperty(Navigator.prototype, 'clipboard', { value: undefined })")
        sign_in(page, served)
        page.goto(f"/console/images/{image['ImageId']}")
        page.get_by_text(t("recipes.title")).click()
        page.get_by_role("button", name=t("recipes.copy")).first.click()
        page.get_by_role("button", name=t("recipes.copied" if may_copy else "recipes.marked")).wait_for()
        said = page.evaluate("navigator.clipboard.readText()" if may_copy else "getSelection().toString()")

        assert (
            said.strip() == f"kiln call DescribeImages ImageId={image['ImageId']} Status=ALL --region {served.region}"
        )


def sign_in(page, served):
    """By the keys, which does without script as well."""
    page.goto("/console/sign-in")
    page.get_by_label("AccessKey ID").fill(served.access_key_id)
    page.get_by_label("AccessKey secret").fill(served.secret)
    page.get_by_role("button", name=t("entrance.sign_in")).click()
    page.wait_for_url("**/console/")  # The page that says so goes on by itself.
