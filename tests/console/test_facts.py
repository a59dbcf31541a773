"""The pages of one thing, and the first page: what they say beside the facts."""

from __future__ import annotations

from kiln.console.nouns.cells import cell, mood
from kiln.console.pages.images import IMAGES
from kiln.operations.instances.parts import passwords
from kiln.store.images import images
from tests.clouds import OTHER, make_cloud
from tests.console.hostile import an_import
from tests.console.window import open_window
from tests.operations.images.gallery import FAR, an_image, share, with_two_regions
from tests.operations.instances.test_get_instance_console_output import Talking
from tests.stock import an_instance


def test_an_image_says_who_runs_on_it_and_whom_it_is_shared_with(window):
    image = an_image(window.cloud)
    instance = an_instance(window.cloud, image=image.id, name="web-1")
    share(window.cloud, image.id)

    page = window.get(f"/images/{image.id}")

    assert f"web-1 {instance.id} Stopped" in page.words
    assert f"Shared with: {OTHER}" in page.words
    assert '"source_image": "' + image.id in page.words


def test_an_image_of_a_running_instance_says_how_it_was_captured(window):
    quiesced, crashed = (an_image(window.cloud, consistency=one).id for one in ("quiesced", "crash-consistent"))
    stopped = an_image(window.cloud).id

    assert "Consistency quiesced: the guest" in window.get(f"/images/{quiesced}").words
    assert "Consistency crash-consistent: as if the power had failed" in window.get(f"/images/{crashed}").words
    assert "Consistency" not in window.get(f"/images/{stopped}").words


def test_what_is_so_of_all_images_is_not_said_of_one(window):
    page = window.get(f"/images/{an_image(window.cloud).id}")

    assert "IsPublic" not in page.words
    assert "BootMode" in page.words


def test_an_instance_shows_its_disks_and_what_its_console_has_printed(window):
    instance = an_instance(window.cloud)

    page = window.get(f"/instances/{instance.id}")

    assert "/dev/xvda, system, 20 GiB" in page.words
    assert f"/console/instances/{instance.id}/output" in page.text
    assert "printed nothing" in window.get(f"/instances/{instance.id}/output").words


def test_what_a_console_has_printed_begins_where_there_is_something_to_read(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    machines = Talking(cloud.folder / "run")
    cloud.refit(machines=machines)
    instance = an_instance(cloud).id
    with open_window(cloud) as window:
        window.sign_in()
        machines.printed = b"\r\n" * 30 + b"  a boot loader\r\n"
        assert "<bdi>  a boot loader\n" in window.get(f"/instances/{instance}/output").text
        machines.printed = b"\r\n" * 30
        assert "printed nothing" in window.get(f"/instances/{instance}/output").words


def test_a_failed_image_says_why(window):
    image = an_image(window.cloud)
    failed = {"status": "CreateFailed", "error_code": "InvalidImageFormat", "error_message": "it is a poem"}
    window.cloud.ports.database.write(lambda tx: images.update(tx, failed, id=image.id))

    page = window.get(f"/images/{image.id}")
    assert "InvalidImageFormat it is a poem" in page.words
    assert ("section", {"class": "failure"}) in page.tags
    assert ("section", {"class": "goes-on"}) not in page.tags
    assert "InvalidImageFormat it is a poem" in window.get("/").words


def test_what_is_still_under_way_is_told_as_that_and_not_as_a_failure(window):
    """A guest without an agent waits for its password as long as it runs."""
    instance = an_instance(window.cloud, password_due=True)
    window.cloud.ports.database.write(lambda tx: passwords.begin(tx, window.cloud.ports, instance.id))

    page = window.get(f"/instances/{instance.id}")

    assert "Waiting: Give the guest its password It is about to begin." in page.words
    assert ("section", {"class": "goes-on"}) in page.tags
    assert ("section", {"class": "failure"}) not in page.tags
    assert "等待中: 设置实例密码" in window.get(f"/instances/{instance.id}", accept_language="zh").words


def test_a_failed_image_says_what_to_do_where_that_is_known(window):
    image = an_image(window.cloud)
    failed = {"status": "CreateFailed", "error_code": "InvalidRegionId.NotFound", "error_message": "no such region"}
    window.cloud.ports.database.write(lambda tx: images.update(tx, failed, id=image.id))

    for page in (window.get(f"/images/{image.id}"), window.get("/")):
        assert "What to do: kiln region list lists the regions" in page.words
        assert "<code>kiln region list</code>" in page.text


def test_a_failed_image_says_what_to_do_about_what_no_action_declares(window):
    image = an_image(window.cloud)
    failed = {"status": "CreateFailed", "error_code": "ServiceUnavailable"}
    failed["error_message"] = "There is no room left in the pool: v-1"
    window.cloud.ports.database.write(lambda tx: images.update(tx, failed, id=image.id))

    for page in (window.get(f"/images/{image.id}"), window.get("/")):
        assert "What to do: Delete what nobody needs" in page.words


def test_the_first_page_tells_the_newest_images_state_in_the_visitors_language(window):
    image = an_image(window.cloud)
    window.cloud.ports.database.write(lambda tx: images.update(tx, {"status": "CreateFailed"}, id=image.id))

    assert f"{image.id} Create failed" in window.get("/").words
    assert f"{image.id} 创建失败" in window.get("/", accept_language="zh").words


def test_the_first_page_counts_and_says_how_the_parts_are(window):
    an_image(window.cloud)

    page = window.get("/")

    assert "1 Images 0 Instances" in page.words
    assert "Health of the parts Database Pool it can only be read" in page.words
    assert "各部分状态 数据库 存储池 it can only be read" in window.get("/", accept_language="zh").words


def test_a_state_on_its_way_shows_how_far_it_is():
    row = {"Status": "Creating", "Progress": "37%"}

    shown = cell("Status", "Creating", IMAGES, row)

    assert (shown.mood, shown.percent) == ("moving", 37)
    assert cell("Status", "Available", IMAGES, {"Progress": "100%"}).percent is None
    assert mood("") == ""


def test_says_why_in_the_region_that_is_looked_at(tmp_path, sqlite):
    cloud = with_two_regions(make_cloud(tmp_path, sqlite))
    failed = {"status": "CreateFailed", "error_code": "InvalidImageFormat", "error_message": "it is a poem"}
    image = an_image(cloud, region=FAR)
    cloud.ports.database.write(lambda tx: images.update(tx, failed, id=image.id))
    with open_window(cloud) as window:
        window.sign_in()
        assert window.get(f"/images/{image.id}").status == 404

        window.post("/region", {"form_token": window.get("/").form_token, "region": FAR})

        assert "it is a poem" in window.get(f"/images/{image.id}").words
        assert "it is a poem" in window.get("/").words


def test_tags_are_shown_as_they_are_given(window):
    image = an_image(window.cloud)
    window.cloud.call(
        "TagResources",
        {"ResourceId.1": image.id, "Tag.1.Key": "role", "Tag.1.Value": "web", "Tag.2.Key": "bare"},
        ResourceType="image",
    )

    assert "bare, role=web" in window.get("/images").words
    assert window.get(f"/images/{image.id}").words.count("Tags") == 1
    assert "Tags Key Value bare role web" in window.get(f"/images/{image.id}").words


def test_tables_are_headed_in_the_visitors_language(window):
    image = an_image(window.cloud)

    assert "Disks of the image" in window.get(f"/images/{image.id}").words
    page = window.get(f"/images/{image.id}", accept_language="zh")
    assert "镜像中的磁盘" in page.words
    assert "可用" in page.words
    assert ("h2", {"title": "The disks."}) in page.tags


def test_what_a_task_is_about_is_a_link(window):
    task = an_import(window.cloud)
    (image,) = window.cloud.call("DescribeImages", Status="ALL")["Images"]["Image"]

    for page in (window.get("/tasks"), window.get(f"/tasks/{task}")):
        assert ("a", {"href": f"/console/images/{image['ImageId']}"}) in page.tags
