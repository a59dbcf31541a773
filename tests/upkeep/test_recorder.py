"""The recorder: the pool's records say what the database says, a moment later."""

from __future__ import annotations

import json

import pytest

from kiln.pools.records import NAME
from kiln.store import deployment, documents
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.upkeep.recorder import Recorder, naming
from tests.pools.kills import killed_at, points_of
from tests.stock import an_instance
from tests.waiting import wait_for


@pytest.fixture
def recorder(cloud):
    recorder = Recorder(cloud.ports.database, cloud.ports.pool.records, "one")
    cloud.ports.database.tell = recorder.note
    recorder.compare()
    recorder.flush()
    return recorder


def told(cloud):
    """Every document, as the database has it."""
    found = {}
    with cloud.ports.database.read() as tx:
        for kind in documents.KINDS:
            for name in documents.names(tx, kind, "", 1000):
                found[(kind, name)] = documents.document(tx, kind, name)
    return found


def kept(cloud):
    records = cloud.ports.pool.records
    return {(kind, name): said for kind in documents.KINDS for name, said in records.all(kind)}


def an_image(cloud):
    instance = an_instance(cloud, data_disks=1)
    image = cloud.call("CreateImage", InstanceId=instance.id, ImageName="one", **{"Tag.1.Key": "a", "Tag.1.Value": "b"})
    cloud.settle()
    return instance.id, image["ImageId"]


def test_follows_every_operation(cloud, recorder):
    instance, image = an_image(cloud)
    recorder.flush()
    first = kept(cloud)
    assert first == told(cloud)
    assert first[("image", image)]["tags"][0]["key"] == "a"
    assert len(first[("image", image)]["disks"]) == 2
    networks = {"vpc", "vswitch", "securitygroup"}
    assert {kind for kind, _ in first} == {"account", "image", "snapshot", "disk", "volume", "instance"} | networks

    cloud.call("ModifyImageAttribute", ImageId=image, ImageName="two", ImageFamily="fam")
    cloud.call("UntagResources", ResourceType="image", **{"ResourceId.1": image, "TagKey.1": "a"})
    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()
    recorder.flush()
    assert kept(cloud) == told(cloud)
    assert ("instance", instance) not in kept(cloud)

    cloud.call("DeleteImage", ImageId=image)
    recorder.flush()
    assert kept(cloud) == told(cloud)
    assert ("image", image) not in kept(cloud)


def test_a_batch_that_was_cut_short_names_nothing_that_is_not_there(cloud, recorder):
    """It was written in any order: an instance before its VSwitch, and a disk's end before its instance's."""
    instance, image = an_image(cloud)
    recorder.flush()
    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()
    cloud.call("DeleteImage", ImageId=image)
    another, _ = an_image(cloud)
    before = (cloud.folder / "pool" / ".kiln" / NAME).read_bytes()
    recorder.flush()

    lines = (cloud.folder / "pool" / ".kiln" / NAME).read_bytes().removeprefix(before).splitlines()
    said = [
        (record["kind"], record["document"] is None)
        for record in (json.loads(line.partition(b" ")[2]) for line in lines)
    ]
    made = [kind for kind, is_gone in said if not is_gone]
    gone = [kind for kind, is_gone in said if is_gone]
    order = list(documents.KINDS)
    assert "instance" in made
    assert "instance" in gone
    assert said == [(kind, False) for kind in made] + [(kind, True) for kind in gone]
    assert made == sorted(made, key=order.index)
    assert gone == sorted(gone, key=order.index, reverse=True)
    assert kept(cloud) == told(cloud)
    assert ("instance", another) in kept(cloud)


def test_says_which_resources_name_a_volume(cloud, recorder):
    instance, _ = an_image(cloud)
    recorder.flush()
    with cloud.ports.database.read() as tx:
        for snapshot in snapshots.all(tx):
            assert naming(cloud.ports.pool, snapshot.volume) == [("snapshot", snapshot.id)]
        for disk in disks.all(tx, instance=instance):
            assert naming(cloud.ports.pool, disk.volume) == [("disk", disk.id)]
    assert naming(cloud.ports.pool, "v-none") == []


def test_numbers_each_batch_in_the_database_first(cloud, recorder):
    an_image(cloud)
    recorder.flush()
    with cloud.ports.database.read() as tx:
        assert deployment.batch(tx) == cloud.ports.pool.records.batch == 2


def test_a_start_brings_records_up_to_date(cloud, recorder):
    an_image(cloud)  # Noted, and lost with the process's memory.
    again = Recorder(cloud.ports.database, cloud.ports.pool.records, "one")
    again.compare()
    again.flush()

    assert kept(cloud) == told(cloud)


def test_a_change_made_by_another_program_is_found_by_comparing(cloud, recorder):
    cloud.ports.database.tell = lambda _: None
    an_image(cloud)
    recorder.flush()
    assert kept(cloud) != told(cloud)
    recorder.compare()
    recorder.flush()

    assert kept(cloud) == told(cloud)


def test_a_kill_at_any_line_never_has_the_pool_ahead_of_the_database(tmp_path, cloud, recorder):
    if not cloud.ports.database.is_sqlite:
        pytest.skip("a forked process cannot use its parent's connections to PostgreSQL")
    an_image(cloud)
    changed = set(recorder._changed)

    def flush():
        recorder.note(changed)
        recorder.flush()

    for number in range(len(points_of(flush))):
        with cloud.ports.database.read() as tx:
            name = disks.all(tx)[0].id
        cloud.ports.database.write(
            lambda tx, name=name, number=number: disks.update(tx, {"name": str(number)}, id=name)
        )
        cloud.ports.database.close()
        assert killed_at(number, flush)
        with cloud.ports.database.read() as tx:
            assert deployment.batch(tx) >= cloud.ports.pool.records.batch


def test_the_thread_writes_by_itself_and_at_its_end(cloud):
    recorder = Recorder(cloud.ports.database, cloud.ports.pool.records, "one")
    recorder.start()
    an_image(cloud)
    recorder.stop()

    assert kept(cloud) == told(cloud)
    assert (cloud.folder / "pool" / ".kiln" / "records").stat().st_size > 0


def test_a_launch_template_comes_back_with_its_versions_and_tags(cloud, recorder):
    made = {"LaunchTemplateName": "web", "TemplateTag.1.Key": "a", "ImageId": "m-1"}
    template = cloud.call("CreateLaunchTemplate", made)["LaunchTemplateId"]
    cloud.call("CreateLaunchTemplateVersion", LaunchTemplateName="web", ImageId="m-2")
    cloud.call("ModifyLaunchTemplateDefaultVersion", LaunchTemplateName="web", DefaultVersionNumber=2)
    cloud.call("DeleteLaunchTemplateVersion", {"DeleteVersion.1": 1}, LaunchTemplateName="web")
    recorder.flush()
    assert kept(cloud) == told(cloud)
    said = kept(cloud)["launchtemplate", template]
    told_before = cloud.call("DescribeLaunchTemplates"), cloud.call("DescribeLaunchTemplateVersions", made)

    cloud.call("DeleteLaunchTemplate", LaunchTemplateName="web")
    recorder.flush()
    assert ("launchtemplate", template) not in kept(cloud)
    cloud.ports.database.write(lambda tx: documents.restore(tx, "launchtemplate", template, said))

    assert (cloud.call("DescribeLaunchTemplates"), cloud.call("DescribeLaunchTemplateVersions", made)) == told_before
    assert cloud.call("CreateLaunchTemplateVersion", LaunchTemplateName="web")["LaunchTemplateVersionNumber"] == 3


def test_a_resource_group_comes_back_with_its_account(cloud, recorder):
    group = cloud.call("CreateResourceGroup", Name="web", DisplayName="Web servers")["ResourceGroup"]["Id"]
    recorder.flush()

    said = kept(cloud)["account", cloud.account]["resource_groups"]
    assert {"id": group, "name": "web", "display_name": "Web servers"}.items() <= said[-1].items() | said[0].items()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_says_that_its_thread_has_ended_though_nobody_stopped_it(cloud):
    class Ends:
        """Records that end whoever asks them."""

        def __getattr__(self, name: str):
            raise SystemExit

    an_instance(cloud)
    recorder = Recorder(cloud.ports.database, Ends(), "dp-1")
    assert recorder.dead() == []

    recorder.start()

    wait_for(lambda: recorder.dead() == ["recorder"])
    recorder.stop()
    assert recorder.dead() == []


def test_says_once_that_all_that_was_there_has_been_read(cloud):
    """The service has what was read looked through for garbage no more: see ``Parts``."""
    an_image(cloud)
    said = []
    recorder = Recorder(
        cloud.ports.database, cloud.ports.pool.records, "one", when_compared=lambda: said.append(kept(cloud))
    )
    recorder.start()
    try:
        wait_for(lambda: said, within_s=300)
        an_instance(cloud)
    finally:
        recorder.stop()

    assert len(said) == 1
    assert kept(cloud) == told(cloud)
