"""Objects in parts and by presigned URLs, before a Kiln's own server."""

from __future__ import annotations

from contextlib import closing

import pytest

from kiln.client.client import ApiFailure, Client
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.clouds import ACCOUNT, REGION, make_cloud
from tests.wire.paths.site import start_site


@pytest.fixture
def site(tmp_path, sqlite):
    with start_site(make_cloud(tmp_path, sqlite), Limits(), Room(100, 100)) as served:
        yield served


@pytest.fixture
def objects(site):
    address = "http://{}:{}".format(*site.address)
    with closing(Client(address, ACCOUNT, f"secret-{ACCOUNT}", REGION, clock=site.cloud.clock)) as client:
        found = client.objects
        found.make_bucket("uploads")
        yield found


def test_parts_come_by_presigned_urls_from_whoever_has_them(site, objects):
    name = "a disk 龘+&=~.qcow2"
    upload = objects.begin("uploads", name)
    paths = [
        objects.presign("PUT", "uploads", name, {"uploadId": upload, "partNumber": str(number)}, 60)
        for number in (1, 2)
    ]

    assert site.ask("PUT", paths[1], {}, b"b" * 10).status == 200
    assert objects.parts("uploads", name, upload) == {2: 10}
    assert site.ask("PUT", paths[0], {}, b"a" * 100 * 1024).status == 200
    assert objects.parts("uploads", name, upload) == {1: 100 * 1024, 2: 10}
    objects.complete("uploads", name, upload)

    got = site.ask("GET", objects.presign("GET", "uploads", name, {}, 60))
    assert (got.status, got.body) == (200, b"a" * 100 * 1024 + b"b" * 10)


def test_a_presigned_url_is_good_for_its_own_request_and_its_own_time(site, objects):
    upload = objects.begin("uploads", "o")
    path = objects.presign("PUT", "uploads", "o", {"uploadId": upload, "partNumber": "1"}, 60)

    assert site.ask("PUT", path.replace("partNumber=1", "partNumber=2"), {}, b"x").status == 403
    assert site.ask("DELETE", path).status == 403
    site.cloud.clock.now += 120
    assert site.ask("PUT", path, {}, b"x").status == 403


def test_an_upload_that_is_not_there_has_no_parts(objects):
    with pytest.raises(ApiFailure) as failure:
        objects.parts("uploads", "o", "0" * 32)
    assert failure.value.code == "NoSuchUpload"
