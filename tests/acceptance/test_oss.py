"""Objects by OSS's own clients, and by the command line that is not on the machine of the service."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing

import oss2
import pytest
import requests

from kiln.client.client import ApiFailure, Client
from kiln.client.objects import Objects
from kiln.client.transport import Transport, Unreachable
from tests import warm
from tests.tools import needs

pytestmark = pytest.mark.sdk


@pytest.fixture(params=["1", "4"])
def bucket(kiln, request):
    """A bucket of the classic SDK, empty at its end, by signatures of either version."""
    kinds = {"1": (oss2.Auth, {}), "4": (oss2.AuthV4, {"region": "cn-hangzhou"})}
    kind, more = kinds[request.param]
    made = oss2.Bucket(kind(kiln.access_key_id, kiln.secret), kiln.endpoint, f"by-version-{request.param}", **more)
    made.create_bucket()
    yield made
    for one in oss2.ObjectIterator(made):
        made.delete_object(one.key)
    made.delete_bucket()


def test_the_classic_sdk_brings_lists_takes_and_deletes(kiln, bucket, tmp_path):
    content = os.urandom(700_000)
    (tmp_path / "disk.raw").write_bytes(content)
    store = oss2.ResumableStore(str(tmp_path))
    how = {"multipart_threshold": 1, "part_size": 200_000, "num_threads": 3, "store": store}

    oss2.resumable_upload(bucket, "deep/名 a+b.raw", str(tmp_path / "disk.raw"), **how)
    oss2.resumable_download(
        bucket, "deep/名 a+b.raw", str(tmp_path / "back.raw"), multiget_threshold=1, part_size=200_000
    )
    bucket.put_object("a", b"bytes", headers={"x-oss-meta-who": "me"})

    assert (tmp_path / "back.raw").read_bytes() == content
    assert (kiln.buckets / bucket.bucket_name / "deep" / "名 a+b.raw").read_bytes() == content
    assert [one.key for one in oss2.ObjectIterator(bucket, delimiter="/", max_keys=1)] == ["a", "deep/"]
    assert [one.key for one in oss2.ObjectIteratorV2(bucket, max_keys=1)] == ["a", "deep/名 a+b.raw"]
    assert bucket.head_object("a").headers["x-oss-meta-who"] == "me"
    assert bucket.get_object("a", byte_range=(1, 2)).read() == b"yt"
    assert requests.get(bucket.sign_url("GET", "a", 60), timeout=300).content == b"bytes"
    assert bucket.batch_delete_objects(["a"]).deleted_keys == ["a"]
    assert not bucket.object_exists("a")


def test_the_classic_sdk_is_refused_in_words_that_it_knows(kiln, bucket):
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.get_object_meta("none")
    with pytest.raises(oss2.exceptions.NotImplemented):
        bucket.append_object("a", 0, b"x")
    with pytest.raises(oss2.exceptions.InvalidObjectName):
        bucket.put_object("a//b", b"x")
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        oss2.Bucket(bucket.auth, kiln.endpoint, "not-there", region="cn-hangzhou").get_object("a")
    with pytest.raises(oss2.exceptions.SignatureDoesNotMatch):
        oss2.Bucket(oss2.Auth(kiln.access_key_id, "wrong"), kiln.endpoint, bucket.bucket_name).put_object(
            "a", bytes(3_000_000)
        )


def test_keys_of_a_role_come_in_with_their_token(kiln, bucket):
    with closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret)) as client:
        role = f"acs:ram::{client.call('GetCallerIdentity')['AccountId']}:role/r"
        taken = client.call("AssumeRole", RoleArn=role, RoleSessionName="alice")["Credentials"]
    auth = oss2.StsAuth(taken["AccessKeyId"], taken["AccessKeySecret"], taken["SecurityToken"])

    oss2.Bucket(auth, kiln.endpoint, bucket.bucket_name).put_object("a", b"bytes")

    assert bucket.get_object("a").read() == b"bytes"


@pytest.fixture
def elsewhere(kiln, tmp_path):
    """Runs ``kiln`` as on another machine: its data folder is named, as `kiln env` does, and is not there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")} | {
        "KILN_ENDPOINT": kiln.endpoint,
        "KILN_ACCESS_KEY_ID": kiln.access_key_id,
        "KILN_ACCESS_KEY_SECRET": kiln.secret,
        "KILN_REGION": kiln.region,
        "KILN_DATA": str(tmp_path / "not-there"),
    }

    def run(*words):
        return warm.kiln(*words, env=environment, cwd=tmp_path)

    return run


def test_an_image_comes_from_and_goes_to_another_machine(kiln, elsewhere, tmp_path, name):
    needs("qemu-img")
    disk = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1G"], check=True)
    subprocess.run(["qemu-io", "-c", "write -P 7 1M 9M", disk], check=True, capture_output=True)

    rehearsed = elsewhere("image", "import", "disk.qcow2", "--name", name, "--dry-run")
    made = elsewhere("image", "import", "disk.qcow2", "--name", name)
    image = made.stdout.strip()
    taken = elsewhere("image", "export", image, "--format", "qcow2", "--output", "back.qcow2")

    assert (made.returncode, image[:2]) == (0, "m-"), (made.stderr, rehearsed.stderr)
    assert taken.returncode == 0, taken.stderr
    subprocess.run(["qemu-img", "compare", disk, tmp_path / "back.qcow2"], check=True, capture_output=True)
    assert [*kiln.buckets.glob("uploads-*/[!.]*"), *kiln.buckets.glob("exports-*/[!.]*")] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.qcow2", "disk.qcow2"]


def test_what_cannot_be_sent_is_refused_and_leaves_nothing(kiln, elsewhere, tmp_path, name):
    absent = elsewhere("image", "import", "absent.raw", "--name", name)
    (tmp_path / "text.raw").write_bytes(b"no disk\n" * 1000)
    text = elsewhere("image", "import", "text.raw", "--name", name)

    assert "absent.raw" in absent.stderr
    assert (absent.returncode, text.returncode) != (0, 0)
    assert [*kiln.buckets.glob("uploads-*/[!.]*")] == []


def test_what_breaks_off_on_its_way_is_given_up(kiln, tmp_path):
    client = Client(kiln.endpoint, kiln.access_key_id, kiln.secret)
    client.objects.make_bucket("broken-off")
    (tmp_path / "disk.raw").write_bytes(bytes(9_000_000))

    class Broken(Exception):
        pass

    def show(percent, word):
        if percent:
            raise Broken

    with (tmp_path / "disk.raw").open("rb") as file, pytest.raises(Broken):
        client.objects.put("broken-off", "disk.raw", file, 9_000_000, show)

    assert [*(kiln.buckets / "broken-off").glob("**/*")] == [kiln.buckets / "broken-off" / ".tmp-uploads"]
    with (tmp_path / "back.raw").open("wb") as file, pytest.raises(ApiFailure, match="NoSuchKey"):
        client.objects.fetch("broken-off", "disk.raw", file, lambda *_: None)
    client.close()


def test_an_object_is_there_though_the_last_answer_was_lost(kiln, tmp_path):
    """It was given up as a failure, and the object stayed: a service that is killed just then answers nobody."""
    lost = []

    class Lossy(Transport):
        def send(self, method, target, headers, body=b"", **more):
            reply = super().send(method, target, headers, body, **more)
            if "x-oss-complete-all" in headers and not lost:
                lost.append(target)
                raise Unreachable("the answer was lost", was_sent=True)
            return reply

    transport = Lossy(kiln.endpoint)
    objects = Objects(transport, kiln.access_key_id, kiln.secret)
    objects.make_bucket("answer-lost")
    content = os.urandom(9_000_000)
    (tmp_path / "disk.raw").write_bytes(content)

    with (tmp_path / "disk.raw").open("rb") as file:
        objects.put("answer-lost", "disk.raw", file, len(content), lambda *_: None)

    assert len(lost) == 1
    assert (kiln.buckets / "answer-lost" / "disk.raw").read_bytes() == content
    transport.close()
