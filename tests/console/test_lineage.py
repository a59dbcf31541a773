"""The page of the lineage, before a Kiln with a line of things that were made of each other."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from kiln.console.pages import lineage
from kiln.declare.metrics import REQUESTS
from tests.clouds import OTHER
from tests.stock import an_instance


def an_image_of(cloud, instance, name):
    image = cloud.call("CreateImage", InstanceId=instance, ImageName=name, ImageFamily="web")["ImageId"]
    cloud.settle()
    cloud.clock.now += 1
    return image


@pytest.fixture
def line(window):
    """Two images, one made of an instance of the other."""
    cloud = window.cloud
    first = an_instance(cloud, name="builder").id
    image = an_image_of(cloud, first, "base")
    second = an_instance(cloud, name="runner", image=image).id
    return {"builder": first, "base": image, "runner": second, "top": an_image_of(cloud, second, "top")}


def rows(page):
    """The names in the first cells, from above to below."""
    return [
        re.sub(r"<[^>]+>", " ", cell).split()[1]
        for cell in re.findall(r"<th scope=\"row\">(.*?)</th>", page.text, re.DOTALL)
    ]


def calls():
    """How often each action was called so far."""
    found = Counter()
    for (action, *_), spread in REQUESTS.series().items():
        found[action] += sum(spread.counts)
    return found


def test_shows_what_was_made_of_what_in_order_with_rails(window, line):
    page = window.get("/lineage")

    assert [name for name in rows(page) if name in line] == ["builder", "base", "runner", "top"]
    assert page.text.count('<svg class="rails"') == len(rows(page))
    assert 'href="/console/images/{base}"'.format(**line) in page.text
    assert 'href="/console/instances/{runner}"'.format(**line) in page.text


def test_of_one_thing_shows_what_it_stands_on_and_what_stands_on_it(window, line):
    page = window.get("/lineage/{base}?up=1&down=1".format(**line))

    assert [name for name in rows(page) if name in line] == ["base", "runner"]
    assert "gives nothing back by itself" in page.words
    assert "takes force" in page.words


def test_deprecates_an_image_and_all_below(window, line):
    where = "/lineage/{builder}/deprecate".format(**line)
    form = window.get(where)
    assert all(line[name] in form.text for name in ("base", "top"))

    token = {"form_token": form.form_token}
    answer = window.post(where, token | {"image": line["base"]})
    assert (answer.status, answer.place) == (303, "/lineage/{builder}".format(**line))
    assert window.cloud.call("DescribeImages", ImageId=line["base"], Status="Deprecated")["TotalCount"] == 1

    again = window.post(where, token | {"image": line["base"]})
    assert "ImageStatus.NotAvailable" in again.words
    assert line["top"] in again.text


def test_folds_families_unless_it_shall_not(window, line):
    for name in ("old", "older"):
        an_image_of(window.cloud, line["builder"], name)
    an_image_of(window.cloud, line["builder"], "newest")

    assert "web: 3 older images" in window.get("/lineage").words
    assert "older images" not in window.get("/lineage?fold=no").words


def test_a_long_lineage_has_pages_and_its_rails_go_on(window, line, monkeypatch):
    monkeypatch.setattr(lineage, "ROWS", 2)

    page = window.get("/lineage")
    after = re.search(r'href="/console(/lineage\?from=2)" rel="next"', page.text)

    assert len(rows(page)) == 2
    assert after
    assert rows(window.get(after[1])) != rows(page)


def test_every_node_and_every_source_is_a_link_however_long_its_name(window, line):
    page = window.get("/lineage")

    links = [given for tag, given in page.tags if tag == "a"]
    named = {given["href"]: given.get("title", "") for given in links}
    snapshot = window.cloud.call("DescribeSnapshots")["Snapshots"]["Snapshot"][0]
    # As the first cell of its own row, and as what the image was made of.
    assert named["/console/snapshots/{SnapshotId}".format(**snapshot)] == snapshot["SnapshotName"]
    assert "/console/lineage/{SnapshotId}".format(**snapshot) in named
    assert "/console/lineage/{base}".format(**line) in named


def test_reads_the_newest_of_each_and_what_they_were_made_of_and_asks_for_nothing_twice(window, line, monkeypatch):
    cloud = window.cloud
    (gone,) = cloud.call("DescribeDisks", InstanceId=line["runner"])["Disks"]["Disk"]
    cloud.call("DeleteInstance", InstanceId=line["runner"], Force=True)
    cloud.settle()
    an_instance(cloud, name="newest")
    monkeypatch.setattr(lineage, "_MOST", 1)
    before = calls()

    page = window.get("/lineage/{base}".format(**line))

    asked = calls() - before
    assert "base" in rows(page)
    assert "Only the newest 1 of each kind" in page.words
    assert gone["DiskId"] in window.get("/lineage").text
    # The newest disk, the one that is gone, and that of which the image was made.
    assert asked["DescribeDisks"] == 3


def test_what_there_is_not_has_no_lineage(window, line):
    assert window.get("/lineage/m-nothing").status == 404
    other = window.other()
    other.sign_in(OTHER)
    assert other.get("/lineage/{base}".format(**line)).status == 404
    assert line["base"] not in other.get("/lineage").text


def test_the_lineage_of_an_instances_disk_is_that_of_the_instance(window, line):
    """Its page leads there, and a disk that an instance has is a part of that."""
    (disk,) = window.cloud.call("DescribeDisks", InstanceId=line["runner"])["Disks"]["Disk"]
    way = f"/console/lineage/{disk['DiskId']}"
    assert way in window.get(f"/disks/{disk['DiskId']}").text

    page = window.get(way.removeprefix("/console"))

    assert page.header("location") == "/console/lineage/{runner}".format(**line)
    other = window.other()
    other.sign_in(OTHER)
    assert other.get(way.removeprefix("/console")).status == 404


def test_teaches_where_there_is_nothing(window):
    assert "Import an image" in window.get("/lineage").words
