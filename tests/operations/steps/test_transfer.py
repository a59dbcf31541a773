"""What imports and exports share: progress and cancellation."""

from __future__ import annotations

import pytest

from kiln.calls.call import NO_FACTS, Job
from kiln.operations.steps.transfer import Watch
from kiln.store.tasks import tasks
from tests.operations.images.gallery import an_image, shown
from tests.operations.tasks.agenda import a_task


@pytest.fixture
def job(cloud):
    image = an_image(cloud, status="Creating", progress=0)
    return Job(task=a_task(cloud, resource=image.id), ports=cloud.ports, facts=NO_FACTS)


def progress_of(cloud, job):
    with cloud.ports.database.read() as tx:
        return tasks.find(tx, id=job.task.id).progress


class TestProgress:
    def test_weighs_the_disks(self, cloud, job):
        watch = Watch(job, [1, 3], image=True)

        said = []
        for n, percent in ((0, 0.0), (0, 50.0), (1, 0.0), (1, 50.0), (1, 100.0)):
            cloud.clock.now += 1
            watch.of(n)(percent)
            said.append(progress_of(cloud, job))

        assert said == [0, 12, 25, 62, 99]
        assert shown(cloud, job.task.resource)["Progress"] == "99%"

    def test_is_told_at_most_twice_a_second(self, cloud, job):
        progress = Watch(job, [1], image=False).of(0)

        said = []
        for percent in range(1, 100):
            cloud.clock.now += 0.1
            progress(float(percent))
            said.append(progress_of(cloud, job))

        assert len(set(said)) == pytest.approx(20, abs=2)
        assert shown(cloud, job.task.resource)["Progress"] == "0%"

    def test_never_goes_back(self, cloud, job):
        progress = Watch(job, [1], image=False).of(0)

        for percent in (50.0, 10.0):
            cloud.clock.now += 1
            progress(percent)

        assert progress_of(cloud, job) == 50


class TestCancellation:
    def test_is_asked_for_at_most_twice_a_second(self, cloud, job):
        watch = Watch(job, [1], image=False)
        assert not watch.is_cancelled()

        cloud.call("CancelTask", TaskId=job.task.id)

        assert not watch.is_cancelled()
        cloud.clock.now += 0.5
        assert watch.is_cancelled()
