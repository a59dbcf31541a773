"""DetachKeyPair, as a caller meets it."""

from __future__ import annotations

import json

from kiln.store.instances import instances
from tests.reading import the
from tests.stock import a_key_pair, an_instance


class TestDetaches:
    def test_it_from_those_that_have_it_and_leaves_the_others(self, cloud):
        a_key_pair(cloud)
        own = an_instance(cloud, key_pair="ops", system_disk=False).id
        other = an_instance(cloud, key_pair="other", system_disk=False).id
        windows = an_instance(cloud, os_type="windows", key_pair="ops", system_disk=False).id

        answer = cloud.call("DetachKeyPair", KeyPairName="ops", InstanceIds=json.dumps([own, other, windows]))

        assert (answer["TotalCount"], answer["FailCount"]) == ("3", "0")
        assert [the(cloud, instances, id=one).key_pair for one in (own, other, windows)] == ["", "other", ""]

    def test_it_and_tells_of_what_is_not_there(self, cloud):
        a_key_pair(cloud)
        own = an_instance(cloud, key_pair="ops", system_disk=False).id

        answer = cloud.call("DetachKeyPair", KeyPairName="ops", InstanceIds=json.dumps([own, "i-gone"]))

        assert [(one["Success"], one["Code"]) for one in answer["Results"]["Result"]] == [
            ("true", "200"), ("false", "InvalidInstanceIds.ValueNotSupported")
        ]  # fmt: skip


class TestRefuses:
    def test_a_key_pair_that_is_not_there(self, cloud):
        given = {"InstanceIds": json.dumps([an_instance(cloud, key_pair="ops", system_disk=False).id])}

        cloud.refuses("DetachKeyPair", "InvalidKeyPairName.NotFound", 400, given, KeyPairName="ops")

    def test_what_names_no_instance(self, cloud):
        a_key_pair(cloud)
        locked = an_instance(cloud, key_pair="ops", lock_reason="security", system_disk=False).id

        for ids, code, status in (
            (["i-gone"], "InvalidInstanceIds.ValueNotSupported", 400),
            ([locked], "InstanceLockedForSecurity", 403),
        ):
            cloud.refuses("DetachKeyPair", code, status, KeyPairName="ops", InstanceIds=json.dumps(ids))
