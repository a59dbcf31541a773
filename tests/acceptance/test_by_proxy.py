"""Clients that are told no endpoint: by their proxy, with what ``kiln env CLIENT`` prints, and nothing else."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import oss2
import pytest

from kiln.service.clients import CLIENTS
from tests import warm
from tests.docs.pages import examples
from tests.tools import needs, wants

pytestmark = pytest.mark.sdk

REGIONS = "cn-qingdao-env17-d01,cn-hangzhou"

CLASSIC = """
import os, sys
from aliyunsdkcore.client import AcsClient
from aliyunsdkecs.request.v20140526.DescribeRegionsRequest import DescribeRegionsRequest
key, secret = os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
client = AcsClient(key, secret, sys.argv[1])
request = DescribeRegionsRequest()
request.set_protocol_type(sys.argv[2])
print(client.do_action_with_exception(request).decode())
"""

CURRENT = """
import os, sys
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config
client = Client(Config(
    access_key_id=os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
    access_key_secret=os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
    region_id=sys.argv[1], protocol=sys.argv[2],
    ca=os.environ["SSL_CERT_FILE"],  # Through a proxy it reads certifi's file otherwise, and no variable.
))
print(client.describe_regions(models.DescribeRegionsRequest()).body.to_map())
"""

IDENTITY = """
import os
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
key, secret = os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
client = AcsClient(key, secret, "cn-hangzhou")
request = CommonRequest(domain="sts.aliyuncs.com", version="2015-04-01", action_name="GetCallerIdentity")
request.set_protocol_type("https")
request.set_method("POST")
print(client.do_action_with_exception(request).decode())
"""


LOCATION = """
import os
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.endpoint.location_service_endpoint_resolver import LocationServiceEndpointResolver
from aliyunsdkcore.endpoint.resolver_endpoint_request import ResolveEndpointRequest

key, secret = os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
resolver = LocationServiceEndpointResolver(AcsClient(key, secret, "cn-hangzhou"))
for region, product in (("cn-hangzhou", "ecs"), ("cn-nowhere", "ecs"), ("cn-hangzhou", "rds")):
    request = ResolveEndpointRequest(region, product, product, "openAPI")
    print(resolver.resolve(request), resolver.is_product_code_valid(request))
"""

ROLE = """
import json, os, sys
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest

def ask(client, action, **more):
    request = CommonRequest(domain="sts.aliyuncs.com", version="2015-04-01", action_name=action)
    request.set_protocol_type("https")
    request.set_method("POST")
    for name, value in more.items():
        request.add_query_param(name, value)
    return json.loads(client.do_action_with_exception(request))

key, secret = os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
first = AcsClient(key, secret, "cn-hangzhou")
account = ask(first, "GetCallerIdentity")["AccountId"]
given = ask(first, "AssumeRole", RoleArn=f"acs:ram::{account}:role/packer", RoleSessionName="alice")["Credentials"]
taken = given["AccessKeyId"], given["AccessKeySecret"], given["SecurityToken"]
print(ask(AcsClient(region_id="cn-hangzhou", credential=StsTokenCredential(*taken)), "GetCallerIdentity")["Arn"])
print(len(Client(Config(
    access_key_id=taken[0], access_key_secret=taken[1], security_token=taken[2], region_id="cn-hangzhou",
    ca=os.environ["SSL_CERT_FILE"],
)).describe_regions(models.DescribeRegionsRequest()).body.regions.region))
try:
    ask(AcsClient(region_id="cn-hangzhou", credential=StsTokenCredential(*taken[:2], "touched")), "GetCallerIdentity")
except ServerException as error:
    print(error.get_error_code())
"""


OF_ONE_REGION = """
import os
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config
client = Client(Config(
    access_key_id=os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
    access_key_secret=os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
    endpoint="vpc.cn-hangzhou.aliyuncs.com", ca=os.environ["SSL_CERT_FILE"],
))
print(client.describe_vpcs(models.DescribeVpcsRequest()).body.total_count)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A Kiln that says in its log what is asked of it."""
    needs("qemu-img")
    data = tmp_path_factory.mktemp("proxy") / "data"
    with warm.start_kiln(data, regions=REGIONS, log="info", tls="127.0.0.1:0", names="*.stack.example") as kiln:
        yield kiln


def run(served, *command, whose=()):
    """What the command did under ``kiln run``, with nothing set of clients' beforehand."""
    kept = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    return warm.kiln("run", "--data", served.data, *whose, "--", *command, env=kept, timeout=300)


def asked(served, since):
    """The actions that were asked for since then, as the log has them."""
    return re.findall(r'"action": "(\w+)"', served.log.read_text()[since:])


@pytest.mark.parametrize("protocol", ["http", "https"])
@pytest.mark.parametrize("region", REGIONS.split(","))
@pytest.mark.parametrize("script", [CLASSIC, CURRENT], ids=["classic", "current"])
def test_a_python_sdk_finds_kiln_under_the_names_of_the_cloud(served, script, region, protocol):
    done = run(served, sys.executable, "-c", script, region, protocol)

    assert done.returncode == 0, done.stderr
    assert "cn-hangzhou" in done.stdout


def test_the_classic_sdk_reads_where_a_product_is(served):
    """It compares codes and texts of what is refused, and asks no more for a region or a product that is none."""
    done = run(served, sys.executable, "-c", LOCATION)

    told = [line.split() for line in done.stdout.splitlines()]
    assert told == [[served.host, "True"], ["None", "True"], ["None", "False"]], done.stderr


def test_a_python_sdk_asks_who_it_is(served):
    done = run(served, sys.executable, "-c", IDENTITY)

    assert json.loads(done.stdout)["IdentityType"] == "Account", done.stderr


def test_a_role_that_was_taken_signs_with_both_python_sdks(served):
    done = run(served, sys.executable, "-c", ROLE)

    arn, regions, code = done.stdout.split() or [done.stderr, "", ""]
    assert arn.endswith(":assumed-role/packer/alice")
    assert (regions, code) == ("2", "InvalidSecurityToken.Malformed")


def test_a_python_sdk_need_not_say_the_region_of_the_endpoint_that_it_asks(served):
    done = run(served, sys.executable, "-c", OF_ONE_REGION)

    assert done.stdout == "0\n", done.stderr


def test_packer_asks_once_where_kiln_is_and_is_never_refused(served, tmp_path):
    """It asked four times before every call, 152 times for the 39 calls of a build."""
    needs("packer")
    builder = {
        "type": "alicloud-ecs",
        "region": "cn-hangzhou",
        "image_name": "packed",
        "source_image": "m-nobody",
        "skip_image_validation": True,
        "instance_type": "ecs.t5-lc1m1.small",
        "communicator": "none",
        "ssh_password": "Pass-word-1",
    }
    (tmp_path / "web.json").write_text(json.dumps({"builders": [builder]}))
    since = len(served.log.read_text())

    done = run(served, "packer", "build", "-color=false", str(tmp_path / "web.json"))

    assert "No alicloud image was found" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    calls = asked(served, since)
    assert calls.count("DescribeEndpoints") == 1
    assert calls.count("DescribeImages") == 3
    assert "connection_refused" not in served.log.read_text()[since:]


def test_terraform_plans_under_it(served, tmp_path):
    """Without its provider, for which it would have to reach a registry: so far its page can be tried here."""
    wants("terraform")
    (tmp_path / "main.tf").write_text('output "web" { value = "web" }\n')
    (command,) = [
        line for one in examples("sh") if one.page == "docs/howto/terraform.md" for line in one.text.splitlines()
    ]
    assert command.startswith("kiln run -- terraform ")

    done = run(served, "sh", "-c", f"cd {tmp_path} && {command.removeprefix('kiln run -- ')} -no-color")

    assert "Changes to Outputs" in done.stdout, done.stderr


def test_terraform_reads_the_plan_of_its_page(tmp_path):
    """Which needs no provider: what it is made of, how it is written, and whose provider it wants."""
    wants("terraform")
    (plan,) = [one.text for one in examples("hcl") if one.page == "docs/howto/terraform.md"]
    (tmp_path / "main.tf").write_text(plan)

    def terraform(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["terraform", *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert terraform("fmt", "-check", "-diff", "-no-color").stdout == ""
    wanted = terraform("providers")
    assert (wanted.returncode, "/aliyun/alicloud]" in wanted.stdout) == (0, True), wanted.stderr


@pytest.mark.parametrize("protocol", ["http", "https"])
def test_a_python_sdk_finds_kiln_under_the_names_of_an_apsara_stack(served, protocol):
    script = CLASSIC.replace(
        "request =", "client.add_endpoint(sys.argv[1], 'Ecs', 'ecs.inter.stack.example')\nrequest ="
    )

    done = run(served, sys.executable, "-c", script, "cn-hangzhou", protocol)

    assert done.returncode == 0, done.stderr
    assert "cn-hangzhou" in done.stdout


def test_an_oss_client_names_its_bucket_below_a_name_of_an_apsara_stack(served):
    given = warm.kiln("env", "python", "--data", served.data)
    led = dict(line.removeprefix("export ").split("=", 1) for line in given.stdout.splitlines())
    proxies = {"http": led["HTTP_PROXY"].strip("'")}
    auth = oss2.Auth(served.access_key_id, served.secret)
    bucket = oss2.Bucket(auth, "http://oss-cn-qingdao.inter.stack.example", "by-name", proxies=proxies)

    bucket.create_bucket()
    bucket.put_object("deep/a", b"bytes")

    assert (served.buckets / "by-name" / "deep" / "a").read_bytes() == b"bytes"
    assert [one.name for one in oss2.BucketIterator(oss2.Service(auth, bucket.endpoint, proxies=proxies))] == [
        "by-name"
    ]


@pytest.mark.parametrize("protocol", ["http", "https"])
def test_a_name_that_is_not_the_cloud_s_is_refused(served, protocol):
    """Of plain HTTP it was answered, as if Kiln were whoever was asked for."""
    script = f"import urllib.request; urllib.request.urlopen('{protocol}://example.com/healthz', timeout=300)"

    done = run(served, sys.executable, "-c", script)

    assert re.search(r"403:? Forbidden", done.stderr), done.stderr


def test_a_port_of_its_own_speaks_tls_to_who_trusts_what_kiln_ca_says(served):
    said = warm.kiln("ca", "--data", served.data)
    port = int(re.search(r"listening on https://127\.0\.0\.1:(\d+)", served.log.read_text())[1])
    context = ssl.create_default_context(cafile=said.stdout.strip())

    with (
        socket.create_connection(("127.0.0.1", port), timeout=300) as stream,
        context.wrap_socket(stream, server_hostname="ecs-cn-hangzhou.aliyuncs.com") as tls,
    ):
        tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        with tls.makefile("rb") as file:
            assert b'"status": "ok"' in file.read()


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM), ('test -n "$SSL_CERT_FILE"', 0)]
)
def test_a_command_ends_as_it_ends(served, script, code):
    assert run(served, "sh", "-c", script).returncode == code


@pytest.mark.parametrize(("command", "code"), [(["no-such-command"], 127), ([str(Path(__file__))], 126)])
def test_a_command_that_cannot_be_run_is_told(served, command, code):
    done = run(served, *command)

    assert done.returncode == code
    assert command[0] in done.stderr


@pytest.mark.parametrize("client", CLIENTS)
def test_env_prints_what_a_client_reads(served, client):
    said = warm.kiln("env", client, "--data", served.data)
    variables = dict(line.removeprefix("export ").split("=", 1) for line in said.stdout.splitlines())

    assert variables["KILN_ENDPOINT"] == served.endpoint
    assert str(served.data / "ca.pem") in variables.values()
    assert ("HTTPS_PROXY" in variables) == (client != "terraform")


def test_survives_an_authority_that_is_damaged(tmp_path):
    with warm.start_kiln(tmp_path / "data") as kiln:
        kiln.stop()
        (kiln.data / "ca.key").write_text("damaged")
        kiln.start()
        assert "there is no TLS, nor CONNECT" in kiln.log.read_text()
        kiln.stop()
        asking = ["serve", "--data", kiln.data, "--listen", "127.0.0.1:0", "--machines", "none", "--tls"]
        done = warm.kiln(*asking, "127.0.0.1:0", timeout=300)
        assert (done.returncode, "ca.key holds no key" in done.stderr) == (9, True)
