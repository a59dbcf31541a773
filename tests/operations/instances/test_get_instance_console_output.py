"""GetInstanceConsoleOutput, as a caller meets it."""

from __future__ import annotations

import base64
import re

from kiln.machines.none import NoMachines
from tests.clouds import OTHER
from tests.stock import an_instance


class Talking(NoMachines):
    """Machines whose consoles have printed something."""

    printed = b""

    def console(self, instance):
        return self.printed


def talking(cloud, printed):
    machines = Talking(cloud.folder / "run")
    machines.printed = printed
    cloud.refit(machines=machines)


def test_is_what_was_printed_in_base64(cloud):
    instance = an_instance(cloud).id
    talking(cloud, b"\x1b[32mok\x1b[0m\r\n\xff\xfe")

    found = cloud.call("GetInstanceConsoleOutput", InstanceId=instance)

    assert found["InstanceId"] == instance
    assert base64.b64decode(found["ConsoleOutput"]) == b"\x1b[32mok\x1b[0m\r\n\xff\xfe"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["LastUpdateTime"])


def test_leaves_out_symbols_when_asked_to(cloud):
    instance = an_instance(cloud).id
    talking(cloud, b"\x1b[1;32mlogin\x1b[0m:\r\n\x1b]0;title\x07\x1b(B\x00\ttab \xe4\xb8\xad\n")

    found = cloud.call("GetInstanceConsoleOutput", InstanceId=instance, RemoveSymbols=True)

    assert base64.b64decode(found["ConsoleOutput"]) == b"login:\n\ttab \xe4\xb8\xad\n"


def test_is_empty_before_the_first_start(cloud):
    found = cloud.call("GetInstanceConsoleOutput", InstanceId=an_instance(cloud).id)

    assert found["ConsoleOutput"] == ""


class TestRefuses:
    def test_an_instance_that_is_not_there(self, cloud):
        cloud.refuses("GetInstanceConsoleOutput", "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown")

    def test_another_accounts_instance(self, cloud):
        mine = an_instance(cloud).id

        cloud.refuses("GetInstanceConsoleOutput", "InvalidInstanceId.NotFound", 404, account=OTHER, InstanceId=mine)

    def test_an_instance_of_another_region(self, cloud):
        elsewhere = an_instance(cloud, region="elsewhere").id

        cloud.refuses("GetInstanceConsoleOutput", "InvalidInstanceId.NotFound", 404, InstanceId=elsewhere)
