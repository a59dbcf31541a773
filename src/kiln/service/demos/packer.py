"""``kiln demo packer``: Debian's own Packer bakes an image on Kiln, with a template as it is written for the cloud.

Packer is told nothing but what ``kiln run`` tells it. Its ``alicloud-ecs`` builder
launches a Debian guest, logs in over SSH, provisions it, has it made an image,
copies and shares that, and cleans up. Then an instance boots from the image.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kiln.guest.debian import image as debian
from kiln.service.accounts import add_account
from kiln.service.assemble import assemble
from kiln.service.demos.stage import Demo, DemoFailed, Say, perform, shown
from kiln.service.ending import end

#: In a checkout; what was installed by pip has no examples.
TEMPLATE = Path(__file__).parents[4] / "examples" / "packer" / "web.json"
NAME, ISSUE = "web-1", "This is web-1, baked by Packer"  #: As the template says.
TAGS = {"role": "web", "baked-by": "packer"}
REGION, COPY = "cn-hangzhou", "us-west-1"

_TYPE = "ecs.t5-lc1m2.small"
_STAGE = "==> alicloud-ecs: "
_BOOTS_WITHIN_S = 900.0  #: Under TCG on a busy machine; an idle one needs a minute.
_ENDS_WITHIN_S = 120.0
_LOOK_AGAIN_S = 1.0
#: What a build makes beside the image, and must have taken away: the action that lists it, and where.
_LEAVINGS: Mapping[str, tuple[str, str]] = {
    "DescribeInstances": ("Instances", "Instance"),
    "DescribeKeyPairs": ("KeyPairs", "KeyPair"),
    "DescribeEipAddresses": ("EipAddresses", "EipAddress"),
    "DescribeVpcs": ("Vpcs", "Vpc"),
    "DescribeVSwitches": ("VSwitches", "VSwitch"),
    "DescribeSecurityGroups": ("SecurityGroups", "SecurityGroup"),
}


def demo(say: Say, cache: Path, *, keep: Path | None = None, stays: bool = False) -> None:
    """Run it; *cache* is the setting, *keep* the data folder if it is to stay, *stays* as ``Demo`` has it.

    Raises DemoFailed, GuestError.
    """
    if not TEMPLATE.exists():
        raise DemoFailed(
            f"The template of this demo is in Kiln's source, as {TEMPLATE.name}, and not in what was installed."
        )
    if shutil.which("packer") is None:
        raise DemoFailed("There is no packer here: on Debian and Ubuntu, apt install packer.")
    perform("Packer bakes an image on Kiln", _tell, say, cache, keep=keep, regions=f"{REGION},{COPY}", stays=stays)


def _tell(it: Demo) -> None:
    """The story itself."""
    disk = it.step("a Debian guest is made from Debian's packages, or is there", lambda: _guest(it))
    base = it.step("ImportImage: its disk becomes an image", lambda: it.import_image("debian-12", disk))
    other = _other_account(it)
    before = _things(it)
    it.say(f"    packer build {TEMPLATE.name}:")
    it.step("packer build: from its first call to its end", lambda: _build(it, base, other))
    image, copy = _image(it, REGION), _image(it, COPY)
    it.say(f"    {REGION}: {image['ImageId']}, {COPY}: {copy['ImageId']}, shared with account {other}")
    it.expect("the tags are the template's", _tags(image), TAGS)
    for region, one in ((REGION, image), (COPY, copy)):
        it.expect(f"the image in {region} is shared", _shared_with(it, region, one["ImageId"]), [other])
    it.expect("what Packer made beside the images is gone", _things(it), before)
    it.say("    no instance, key pair, public address, VPC, VSwitch or security group of the build is left")
    made = it.step(
        "RunInstances: a VM is started from the image", lambda: it.run_instance(image["ImageId"], _TYPE, NAME)
    )
    line = it.step("it boots and shows what Packer did", lambda: _greeting(it, made))
    it.say(f"    its console: {line}")
    it.leave("it is stopped and deleted", made)


def _guest(it: Demo) -> Path:
    kept = debian.build(it.settings.guest_cache, lambda stage: it.say(f"    {stage}"), os.environ)
    return Path(shutil.copyfile(kept, it.bucket() / "debian-12.qcow2"))


def _other_account(it: Demo) -> str:
    """Whom the image is shared with."""
    with assemble(it.settings) as assembly:
        return add_account(assembly.database, assembly.sealer, "other", assembly.ports.clock()).account


def _things(it: Demo) -> dict[str, int]:
    """How many there are of all that a build makes and takes away."""
    return {action: len(it.client.call(action)[many][one]) for action, (many, one) in _LEAVINGS.items()}


def _build(it: Demo, source: str, other: str) -> None:
    """Run Packer, and say each of its stages with its time. Raises DemoFailed."""
    kiln = [sys.executable, "-P", "-m", "kiln.cli.main", "run", "--data", str(it.settings.data)]
    told = {"source_image": source, "share_with": other, "copy_to": COPY}
    variables = [word for name, value in told.items() for word in ("-var", f"{name}={value}")]
    with tempfile.TemporaryDirectory(prefix="kiln-packer-") as home:
        # What is set for another Kiln in this shell, or for Packer itself, is not for this one.
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        with subprocess.Popen(
            [*kiln, "--", "packer", "build", "-color=false", *variables, str(TEMPLATE)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=kept | {"HOME": home, "PACKER_CACHE_DIR": home},
            cwd=home,
        ) as packer:
            assert packer.stdout is not None  # It is a pipe.
            try:
                said = list(stages(packer.stdout, it.say, it.steps.at))
            except BaseException:
                end(packer, _ENDS_WITHIN_S)  # It takes away what it has made.
                raise
    if packer.returncode:
        raise DemoFailed(f"packer build ended with {packer.returncode}:\n" + "".join(said[-20:]))


def stages(lines: Iterable[str], say: Say, at: Say) -> Iterator[str]:
    """All that Packer prints; each of its stages is said when the next one begins, with its time, and *at* is told it
    as it begins.
    """
    stage, began = "", time.monotonic()
    for line in lines:
        yield line
        if line.startswith(_STAGE):
            _say_stage(stage, began, say)
            stage, began = line.removeprefix(_STAGE).strip(), time.monotonic()
            at(stage)
    _say_stage(stage, began, say)


def _say_stage(stage: str, began: float, say: Say) -> None:
    if stage:
        say(f"      {stage[:62]:<62} {shown(time.monotonic() - began):>9}")


def _image(it: Demo, region: str) -> Mapping[str, Any]:
    """The one image that is Packer's, Available."""
    images = it.client.call("DescribeImages", RegionId=region, ImageName=NAME)["Images"]["Image"]
    it.expect(f"{region} has an Available image {NAME}", [one["Status"] for one in images], ["Available"])
    found: Mapping[str, Any] = images[0]
    return found


def _tags(image: Mapping[str, Any]) -> dict[str, str]:
    return {tag["TagKey"]: tag["TagValue"] for tag in image["Tags"]["Tag"]}


def _shared_with(it: Demo, region: str, image: str) -> list[str]:
    answer = it.client.call("DescribeImageSharePermission", RegionId=region, ImageId=image)
    return [account["AliyunId"] for account in answer["Accounts"]["Account"]]


def _greeting(it: Demo, instance: str) -> str:
    """The line that a guest made of Packer's image shows above its login. Raises DemoFailed."""
    deadline = time.monotonic() + _BOOTS_WITHIN_S
    said = ""
    while time.monotonic() < deadline:
        said = it.console(instance)
        for line in said.splitlines():
            if ISSUE in line:
                return line.strip()
        time.sleep(_LOOK_AGAIN_S)
    raise DemoFailed(f"the guest did not show {ISSUE!r}; the end of its console: {said[-500:]!r}")
