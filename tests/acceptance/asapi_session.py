"""A session with Apsara Stack's own SDK, ``aliyun-python-sdk-asapi``, as its makers publish it.

It brings a core of its own that does not go together with the classic SDK's,
so this file is run by the interpreter of ``.venv-asapi`` and knows nothing of
the tests: endpoint, keys, region, instance and snapshot come as arguments, and
every answer goes to standard output as JSON.
"""

import json
import sys
import time

from aliyunsdkasapi.AsapiRequest import AsapiRequest
from aliyunsdkasapi.ASClient import ASClient

ENDPOINT, KEY_ID, SECRET, REGION, INSTANCE, SNAPSHOT, NAME = sys.argv[1:]


def connect(secret=SECRET):
    client = ASClient(KEY_ID, secret, REGION)
    client.setSdkSource("acceptance")
    return client


CLIENT = connect()


def ask(
    action, body=None, query=None, *, method="POST", client=CLIENT, send="do_request", endpoint=ENDPOINT, headers=None
):
    request = AsapiRequest("Ecs", "2014-05-26", action, endpoint)
    request.set_method(method)
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    for name, value in (query or {}).items():
        request.add_query_param(name, value)
    for name, value in (body or {}).items():
        request.add_body_params(name, value)
    return json.loads(getattr(client, send)(request))


def wait_for(image):
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        answer = ask("DescribeImages", {"ImageId": image, "Status": "Creating,Available,CreateFailed"})
        if answer["Images"]["Image"][0]["Status"] != "Creating":
            return answer
        time.sleep(0.05)
    raise SystemExit(f"{image} stays Creating")


def make(name, **given):
    answer = ask("CreateImage", {"ImageName": f"{NAME}-{name}"} | given)
    return {"made": answer, "described": wait_for(answer["ImageId"])}


flat = {"Tag.1.Key": "KeyTest", "Tag.1.Value": "ValueTest", "Description": "中文 a&b=c*~", "ClientToken": NAME}
mappings = {
    "DiskDeviceMapping.1.SnapshotId": SNAPSHOT,
    "DiskDeviceMapping.1.DiskType": "system",
    "DiskDeviceMapping.2.Size": "30",
}
nested = [{"SnapshotId": SNAPSHOT, "DiskType": "system"}, {"Size": "50", "DiskType": "data"}]
told = {
    "from_instance": make("instance", InstanceId=INSTANCE, **flat),
    "from_snapshot": make("snapshot", SnapshotId=SNAPSHOT, Tag=[{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}]),
    "from_mappings": make("mappings", **mappings),
    "from_nested_mappings": make("nested", DiskDeviceMapping=nested, DryRun=False),
    "twice": ask("CreateImage", {"ImageName": f"{NAME}-snapshot", "SnapshotId": SNAPSHOT}),
    "replayed": ask("CreateImage", {"ImageName": f"{NAME}-instance", "InstanceId": INSTANCE, **flat}),
    "by_get": ask("DescribeImages", query={"ImageName": f"{NAME}-snapshot"}, method="GET"),
    "mapped_in_query": ask("CreateImage", {"DryRun": "true", "ImageName": f"{NAME}-query"}, query=mappings),
    # This way wraps the form in double quotes. The other leaves its mark on a client, so that this needs a new one.
    "by_form": ask(
        "DescribeImages", {"ImageName": f"{NAME}-snapshot"}, client=connect(), send="do_action_with_exception"
    ),
    "without_the_path": ask(
        "DescribeImages", {"ImageName": f"{NAME}-snapshot"}, endpoint=ENDPOINT.removesuffix("/asapi/v3")
    ),
    "by_sha1": ask("DescribeRegions", query={"SignatureMethod": "HMAC-SHA1"}),
    "by_header": ask("DescribeImages", {"ImageName": f"{NAME}-snapshot"}, headers={"x-acs-regionid": REGION}),
    "stranger": ask("DescribeImages", client=connect("another")),
}
image = told["from_snapshot"]["made"]["ImageId"]
on = {"ResourceType": "image", "ResourceId.1": image}
told["tagged"] = ask("TagResources", {**on, "Tag.1.Key": "more", "Tag.1.Value": "x"})
told["tags"] = ask("ListTagResources", on)
told["deleted"] = [
    ask("DeleteImage", {"ImageId": told[source]["made"]["ImageId"]})
    for source in ("from_instance", "from_snapshot", "from_mappings", "from_nested_mappings")
]
told["left"] = ask("DescribeImages", {"ImageId": image, "Status": "Creating,Available,CreateFailed"})
json.dump(told, sys.stdout)
