"""Forms: made of what is declared, tried dry before anything is done, and what is done is done once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.client import catalogue
from kiln.client.catalogue import Part
from kiln.console.nouns.fields import is_asked, of_action, to_params
from kiln.console.nouns.noun import Does
from kiln.console.pages.images import IMAGES
from kiln.store.images import images
from tests.operations.images.gallery import an_image
from tests.stock import a_snapshot, an_instance

CREATE = catalogue.load().action("CreateImage")
(CREATE_FORM,) = (does for does in IMAGES.makes if does.action == "CreateImage")


def names(fields) -> set[str]:
    """Every field, those within others as well, by what the wire calls it."""
    return {name for one in fields for name in ({one.name} | names(one.inner))}


def count_images(window) -> int:
    with window.cloud.ports.database.read() as tx:
        return len(images.all(tx))


def test_every_parameter_of_an_action_is_in_its_form_but_those_of_no_effect():
    found = of_action(CREATE, CREATE_FORM, {}, {})

    asked = {part.name for part in CREATE.request.parts if is_asked(part)}
    assert {name.partition(".")[0] for name in names((*found.first, *found.more))} == asked
    assert {"ImageName", "DiskDeviceMapping", "Tag", "Platform"} <= asked
    assert not {"RegionId", "ClientToken", "DryRun", "OwnerId"} & asked


def test_a_parameter_that_is_added_to_the_action_is_added_to_its_form():
    more = Part("Colour", "string", choices=("red", "blue"), doc="What it is painted with.")
    action = replace(CREATE, request=replace(CREATE.request, parts=(*CREATE.request.parts, more)))

    before, after = (of_action(one, CREATE_FORM, {}, {}) for one in (CREATE, action))

    assert names(after.more) - names(before.more) == {"Colour"}
    (field,) = (one for one in after.more if one.name == "Colour")
    assert (field.kind, field.part.doc) == ("choice", "What it is painted with.")


def test_the_form_on_the_page_has_every_field_with_its_help(window):
    page = window.get("/images/CreateImage")

    written = {given["name"] for tag, given in page.tags if tag in ("input", "select", "textarea") and "name" in given}
    found = of_action(CREATE, CREATE_FORM, {}, {})
    assert {name for name in names((*found.first, *found.more)) if f'name="{name}"' in page.text} <= written
    assert CREATE.parameter("ImageFamily").doc.split(".")[0] in page.words
    assert set(CREATE.parameter("BootMode").choices) <= set(page.words.split())


def test_says_what_would_happen_before_it_does_it(window):
    snapshot = a_snapshot(window.cloud, source_disk_type="system")
    fields = {"SnapshotId": snapshot.id, "ImageName": "web", "Tag.2.Key": "a", "Tag.2.Value": "b"}

    checked = window.submit("/images/CreateImage", fields)

    assert (checked.status, count_images(window)) == (200, 0)
    assert "Creating → Available" in checked.words
    assert checked.value("ImageName") == "web"

    done = window.submit("/images/CreateImage", {**fields, "is_sure": "1"})

    assert done.status == 303
    image = window.get(done.place)
    assert "web" in image.words
    assert "Create image: done. RequestId" in image.words
    assert "Create image: done." not in window.get(done.place).words
    (row,) = window.cloud.call("DescribeImages", Status="ALL")["Images"]["Image"]
    assert row["Tags"]["Tag"] == [{"TagKey": "a", "TagValue": "b"}]


def test_the_same_form_that_is_sent_twice_does_it_once(window):
    snapshot = a_snapshot(window.cloud, source_disk_type="system")
    page = window.get("/images/CreateImage")
    fields = {
        "form_token": page.form_token,
        "client_token": page.value("client_token"),
        "SnapshotId": snapshot.id,
        "ImageName": "web",
        "is_sure": "1",
    }

    places = {window.post("/images/CreateImage", fields).place for _ in range(2)}

    assert len(places) == count_images(window) == 1


def test_a_refusal_stands_above_the_form_as_it_was_filled_in(window):
    page = window.submit("/images/CreateImage", {"InstanceId": "i-nothing", "ImageName": "web", "Description": "<b>"})

    assert page.status == 200
    assert "InvalidInstanceId.NotFound" in page.words
    assert "RequestId" in page.words
    assert (page.value("ImageName"), page.value("Description")) == ("web", "&lt;b&gt;")


def test_fields_that_no_form_has_are_not_sent(window):
    page = window.submit("/images/CreateImage", {"Nonsense": "x", "ImageName": "a name that is refused"})

    assert "InvalidImageName" in page.words


@pytest.mark.parametrize("row", ["201", "99999999999", "9" * 5000], ids=len)
def test_a_form_has_no_more_rows_than_somebody_fills_in(window, row):
    name = f"DiskDeviceMapping.{row}.OSSBucket"

    shown = window.get(f"/images/ImportImage?{name}=b")
    sent = window.post("/images/ImportImage", {"form_token": window.get("/").form_token, name: "b"})

    for page in (shown, sent):
        assert page.status == 400
        assert page.words == "a form has 200 rows of DiskDeviceMapping at most"


@pytest.mark.parametrize("image", ["m-nothing", ""], ids=["refused", "passes"])
@pytest.mark.parametrize(("field", "secret"), [("Password", "Correct-Horse-7"), ("UserData", "IyEvYmluL3NoCg==")])
def test_a_secret_is_typed_once_and_on_no_page(window, field, secret, image):
    there = an_image(window.cloud)
    fields = {"ImageId": image or there.id, "InstanceType": "ecs.t5-lc2m1.nano", field: secret}

    page = window.submit("/instances/RunInstances", fields)

    assert ("InvalidImageId.NotFound" in page.words) == bool(image)
    assert secret not in page.text


def test_an_image_is_run_without_a_word_typed(window):
    """Who has read nothing knows no type of instances."""
    at = f"/images/{an_image(window.cloud).id}/RunInstances"
    suggested = window.get(at).value("InstanceType")

    would = window.submit(at, {"InstanceType": suggested})

    assert (would.status, suggested) == (200, "ecs.t5-lc1m1.small")
    assert "RequestId" not in would.words


def test_what_is_plain_is_done_at_one_press(window):
    instance = an_instance(window.cloud)
    page = window.get(f"/instances/{instance.id}")

    done = window.post(f"/instances/{instance.id}/StartInstance", {"form_token": page.form_token, "is_sure": "1"})

    assert done.place == f"/instances/{instance.id}"
    assert "Starting" in window.get(done.place).words


def test_only_what_its_state_allows_is_offered(window):
    instance = an_instance(window.cloud)

    page = window.get(f"/instances/{instance.id}")

    assert f"/console/instances/{instance.id}/StopInstance" not in page.text
    assert f"/console/instances/{instance.id}/ReplaceSystemDisk" in page.text


def test_goes_back_to_the_list_when_what_it_was_about_is_gone(window):
    snapshot = a_snapshot(window.cloud)

    done = window.submit(f"/snapshots/{snapshot.id}/DeleteSnapshot", {"is_sure": "1"})

    assert done.place == "/snapshots"
    assert f"kiln trash restore {snapshot.id}" in window.get("/snapshots").words


def test_what_is_done_is_told_in_the_audit_with_the_address_of_the_browser(window):
    snapshot = a_snapshot(window.cloud)
    window.peer = "127.0.0.9"

    window.submit(f"/snapshots/{snapshot.id}/DeleteSnapshot", {"is_sure": "1"})

    told = [event for event in window.cloud.call("LookupEvents")["Events"] if event["eventName"] == "DeleteSnapshot"]
    assert [event["sourceIpAddress"] for event in told] == ["127.0.0.9"]


def test_says_before_a_deletion_how_it_can_be_taken_back(window):
    snapshot, instance = a_snapshot(window.cloud), an_instance(window.cloud)

    assert f"kiln trash restore {snapshot.id}" in window.get(f"/snapshots/{snapshot.id}/DeleteSnapshot").words
    assert "kiln trash list" in window.get(f"/instances/{instance.id}/DeleteInstance").words


def test_goes_to_what_was_made_of_what_it_was_about(window):
    snapshot = a_snapshot(window.cloud, source_disk_type="system")

    done = window.submit(f"/snapshots/{snapshot.id}/CreateImage", {"ImageName": "web", "is_sure": "1"})

    (image,) = window.cloud.call("DescribeImages", Status="ALL")["Images"]["Image"]
    assert done.place == f"/images/{image['ImageId']}"


def test_says_which_disks_an_image_will_have_and_how_consistent_they_are_to_be_expected(window):
    stopped, running = an_instance(window.cloud, data_disks=1), an_instance(window.cloud, status="Running")

    told = window.get(f"/instances/{stopped.id}/CreateImage").words
    assert "/dev/xvda, system, 20 GiB" in told
    assert "/dev/xvdb, data, 20 GiB" in told
    assert "It is stopped" in told
    assert "crash-consistent" in window.get(f"/instances/{running.id}/CreateImage").words


def test_offers_what_there_is(window):
    instance = an_instance(window.cloud, name="web-1")

    page = window.get("/images/CreateImage")

    offered = [given["value"] for tag, given in page.tags if tag == "option" and given.get("value")]
    assert instance.id in offered
    assert "web-1, Stopped" in page.words
    assert "1 vCPU, 0.5 GiB" in window.get("/instances/RunInstances").words


def test_says_nothing_of_what_is_still_missing_while_a_form_is_being_filled_in(window):
    page = window.get("/instances/RunInstances")
    fields = {"form_token": page.form_token, "client_token": page.value("client_token"), "InstanceName": "web"}

    early = window.post("/instances/RunInstances", fields, hx_request="true")
    sent = window.post("/instances/RunInstances", fields)
    wrong = window.post("/instances/RunInstances", {**fields, "ImageId": "m-1", "InstanceType": "t"}, hx_request="true")

    assert "RequestId" not in early.words
    assert "MissingParameter" in sent.words
    assert "RequestId" in wrong.words


@pytest.mark.parametrize(
    ("form", "params"),
    [
        ({"ImageName": "web", "Description": ""}, {"ImageName": "web"}),
        ({"Tag.1.Key": "", "Tag.3.Key": "a", "Tag.3.Value": "b"}, {"Tag.1.Key": "a", "Tag.1.Value": "b"}),
        ({"Tag.9.Key": "a", "Tag.4.Key": "b"}, {"Tag.1.Key": "a", "Tag.2.Key": "b"}),
        ({"Features.ImdsSupport": "v2"}, {"Features.ImdsSupport": "v2"}),
        ({"form_token": "x", "is_sure": "1", "Nonsense.1": "y", "Tag.x.Key": "a"}, {}),
    ],
    ids=str,
)
def test_a_form_is_read_as_parameters(form, params):
    assert to_params(CREATE, form.items()) == params


def test_lines_are_a_list():
    action = catalogue.load().action("ModifyImageSharePermission")

    assert to_params(action, [("AddAccount", "1\r\n2\n\n3 ")]) == {"AddAccount": ["1", "2", "3"]}


def test_what_the_row_says_is_not_asked_for():
    found = of_action(CREATE, Does(action="CreateImage"), {"InstanceId": "i-1"}, {})

    assert "InstanceId" not in names((*found.first, *found.more))
    assert found.fixed == {"InstanceId": "i-1"}


def test_what_is_asked_for_by_its_id_is_offered_by_its_name(window):
    instance = an_instance(window.cloud, name="web server")

    page = window.get("/images/CreateImage")

    (listed,) = (given["list"] for tag, given in page.tags if tag == "input" and given.get("name") == "InstanceId")
    assert f'<datalist id="{listed}"><option value="{instance.id}">web server, Stopped</option></datalist>' in page.text
    assert '<option value="ecs.t5-lc2m1.nano">1 vCPU, 0.5 GiB</option>' in window.get("/instances/RunInstances").text


def test_what_was_made_is_looked_at_next(window):
    instance = an_instance(window.cloud)

    done = window.submit(f"/instances/{instance.id}/CreateImage", {"ImageName": "web", "is_sure": "1"})

    (row,) = window.cloud.call("DescribeImages", Status="ALL")["Images"]["Image"]
    assert done.place == f"/images/{row['ImageId']}"


def rows_of(page, name: str) -> set[str]:
    """The numbers of the rows that a list has in a form."""
    named = [given.get("name") or "" for _, given in page.tags]
    return {one.split(".")[1] for one in named if one.startswith(f"{name}.")}


def test_a_list_has_one_row_and_another_for_each_press(window):
    page = window.get("/images/ImportImage")
    assert rows_of(page, "DiskDeviceMapping") == {"1"}
    adds = {given["value"]: given for tag, given in page.tags if tag == "button" and given.get("name") == "more_of"}
    assert adds["DiskDeviceMapping"]["formaction"] == "/console/images/ImportImage#DiskDeviceMapping"
    assert "formnovalidate" in adds["DiskDeviceMapping"]

    typed = {"ImageName": "web", "DiskDeviceMapping.1.OSSBucket": "b", "more_of": "DiskDeviceMapping"}
    more = window.submit("/images/ImportImage", typed)

    assert rows_of(more, "DiskDeviceMapping") == {"1", "2"}
    assert (more.value("ImageName"), more.value("DiskDeviceMapping.1.OSSBucket")) == ("web", "b")
    assert "RequestId" not in more.words
    again = window.submit("/images/ImportImage", {**typed, "DiskDeviceMapping.2.OSSBucket": ""})
    assert rows_of(again, "DiskDeviceMapping") == {"1", "2", "3"}


def test_a_list_grows_as_far_as_the_action_takes_it(window):
    most = CREATE.parameter("Tag").count
    full = {f"Tag.{most}.Key": "last", "more_of": "Tag"}

    page = window.submit("/images/CreateImage", full)

    assert rows_of(page, "Tag") == {str(number) for number in range(1, most + 1)}
    assert "Tag" not in [given["value"] for tag, given in page.tags if given.get("name") == "more_of"]


def test_a_secret_outlives_the_press_that_adds_a_row(window):
    at, image = "/instances/RunInstances", an_image(window.cloud)
    fields = {"ImageId": image.id, "InstanceType": "ecs.t5-lc2m1.nano"}
    page = window.get(at)
    whose = {"form_token": page.form_token, "client_token": page.value("client_token")}

    window.post(at, {**whose, **fields, "Password": "weak", "more_of": "Tag"})
    checked = window.post(at, {**whose, **fields})

    assert "InvalidPassword" in checked.words


def test_the_first_button_of_a_form_adds_no_row_and_does_nothing_unchecked(window):
    """It is the one that Enter in a field presses."""
    snapshot = a_snapshot(window.cloud, source_disk_type="system")
    would = window.submit("/images/CreateImage", {"SnapshotId": snapshot.id, "ImageName": "web"})

    for page in (window.get("/images/ImportImage"), would):
        form = page.text.partition('id="doing"')[2]
        assert form.index("<button hidden>") == form.index("<button")


def test_what_the_catalogue_sets_as_code_is_code(window):
    image = an_image(window.cloud)

    page = window.submit("/instances/RunInstances", {"ImageId": image.id, "InstanceType": "ecs.none"})

    assert "<code>kiln region types</code> lists the types." in page.text
