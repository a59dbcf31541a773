"""Tests that take minutes, or what few have: done by ``./kiln test all``, and in any run of chosen tests.

Three kinds are done by ``.ci/run`` as well, before a change lands: the slow ones of
machines, those that try one thing at each of its points (each line of a kill, each
schema that was ever kept, each page in each shape, each parameter of each
operation) or wait for hosts that are given up, and those on a Ceph, unless they are
of the second kind, too: there each kill takes ten seconds. Who waits for
``./kiln test`` at the desk would wait twice as long for what seldom fails alone.

They are left out here, and not by words of the launcher: a run that is told
which tests to do is not whole to those who judge it (tests/judge.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

_NIGHTLY = frozenset({"debian", "nightly", "peers"})
_BEFORE_LANDING = frozenset({"ceph", "exhaustive", "slow_vm"})
#: The marks of engines, of which it is said what was done on them and how long that took.
_ENGINES = ("postgresql", "ceph")

#: Where tests try one thing at each of its points, or wait long for hosts and guests: the beginnings of their names.
#: They are marked here, so that one sees at once what is left out.
EXHAUSTIVE = (
    "tests/acceptance/test_http_bounds.py::test_who_is_too_slow_is_let_go",
    "tests/acceptance/test_network_of_guests.py",
    "tests/acceptance/test_packer_import.py",
    "tests/bench/",
    "tests/browser/test_changes.py",
    "tests/browser/test_files.py",
    "tests/browser/test_main_job.py",
    "tests/browser/test_pages.py",
    "tests/browser/test_terminal.py",
    "tests/calls/test_leased.py::test_changes_nothing_outside_after_the_lease_was_lost",
    "tests/cluster/test_consoles.py",
    "tests/cluster/test_faults.py",
    "tests/cluster/test_lost_hosts.py",
    "tests/cluster/test_moving.py",
    "tests/cluster/test_moving_on_ceph.py::test_a_process_that_is_killed_on_the_way_leaves_the_guest_running_once",
    "tests/contract/test_pool_failures.py",
    "tests/docs/test_formats.py",
    "tests/docs/test_operate.py",
    "tests/docs/test_readme.py",
    "tests/docs/test_written.py",
    "tests/full/",
    "tests/fuzz/",
    "tests/kill/test_driver.py",
    "tests/kill/test_following.py",
    "tests/kill/test_guest.py",
    "tests/kill/test_random.py",
    "tests/kill/test_steps.py",
    "tests/machines/test_hostile.py",
    "tests/machines/test_instant.py",
    "tests/machines/test_merging.py",
    "tests/machines/test_moving_encrypted.py::test_a_guest_goes_on_here_and_there_and_its_passphrases_are_told_to_nobody",
    "tests/machines/test_moving_on_ceph.py",
    "tests/machines/test_network.py",
    "tests/machines/test_qemu.py::test_boots_by_uefi_and_ends_when_the_guest_powers_off",
    "tests/machines/test_qemu.py::test_keeps_what_the_guest_wrote_through_a_reboot_and_a_stop",
    "tests/networks/test_machines.py",
    "tests/operations/images/test_import_image.py::TestKills",
    "tests/operations/instances/test_delete_instance.py::test_outlives_kills",
    "tests/operations/instances/test_delete_instances.py::test_outlives_kills",
    "tests/operations/instances/test_reboot_instances.py::test_outlives_kills",
    "tests/operations/instances/test_start_instances.py::test_outlives_kills",
    "tests/operations/instances/test_stop_instances.py::test_outlives_kills",
    "tests/operations/steps/test_whole_layers.py::test_is_refused_of_a_layer_that_lost_bytes",
    "tests/pools/test_damage.py",
    "tests/pools/test_ready.py::test_loses_nothing_when_it_is_killed_at_any_point_of_opening_ahead_and_freezing",
    "tests/pools/test_records.py::test_a_kill_at_any_line_leaves_what_was_or_what_is_to_be",
    "tests/service/test_damage.py",
    "tests/service/test_health.py::test_says_what_cannot_be_done_in_a_folder_that_became_read_only",
    "tests/service/test_lost_server.py",
    "tests/service/test_pairing.py",
    "tests/service/test_rebuilding.py::test_a_kill_at_any_line_loses_nothing",
    "tests/service/test_resetting.py",
    "tests/service/test_two_kilns.py",
    "tests/steps/test_steps.py",
    "tests/store/test_group_commit.py::test_who_waits_behind_one_whom_another_process_keeps_out_does_not_wait_as_long_anew",
    "tests/store/test_migrations_beside.py::test_the_statements_of_the_version_before_still_run",
    "tests/test_launcher.py",
    "tests/test_packaging.py",
    "tests/torment/",
    "tests/upgrade/",
    "tests/upkeep/test_clock_steps.py::test_every_chore_goes_on",
    "tests/upkeep/test_live_fences.py::test_a_kill_at_any_point_leaves_it_running_once_where_it_can_write",
    "tests/upkeep/test_sweep.py::test_gives_the_space_back_whatever_goes_first",
    "tests/upkeep/test_sweep.py::test_gives_way_between_two_layers_or_some_where_the_chain_is_far_too_deep",
    "tests/upkeep/test_sweep.py::test_shortens_a_chain_that_has_grown_too_deep",
    "tests/upkeep/test_unfinished.py",
    "tests/upkeep/test_watch.py::test_wakes_one_beside_a_hundred_that_are_silent_and_asks_those_once",
    "tests/wire/http/test_tls.py::test_who_does_not_go_on_is_let_go",
    "tests/wire/test_unsigned.py::test_a_parameter_beside_a_signed_one_is_refused_or_has_no_effect",
)


def left_out(config: pytest.Config) -> frozenset[str]:
    """The marks of the tests that this run is not for."""
    if config.option.repeats == "all":
        return frozenset()
    return _NIGHTLY if os.environ.get("CI") else _NIGHTLY | _BEFORE_LANDING


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out."""
    for item in items:
        if item.nodeid.startswith(EXHAUSTIVE):
            item.add_marker("exhaustive")
    marks = left_out(config)
    long = {item for item in items if marks and _is_long({mark.name for mark in item.iter_markers()}, marks)}
    if long:
        config.hook.pytest_deselected(items=list(long))
        items[:] = [item for item in items if item not in long]


def _is_long(marked: set[str], marks: frozenset[str]) -> bool:
    return bool(marked & marks) or {"ceph", "exhaustive"} <= marked


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was done on each engine, and which tests were not: who reads that all passed is to know what all is."""
    for mark in _ENGINES:
        of_mark = [one for one in _reports(terminalreporter) if mark in one.keywords]
        if done := {one.nodeid for one in of_mark if one.when == "call"}:
            seconds = sum(one.duration for one in of_mark)
            terminalreporter.write_line(f"on {mark}: {len(done)} tests, which took {seconds:.0f} s together")
    if marks := left_out(config):
        terminalreporter.write_line(f"not done, but by `./kiln test all`: what is marked {', '.join(sorted(marks))}")


def _reports(terminalreporter: pytest.TerminalReporter) -> Iterator[pytest.TestReport]:
    for found in terminalreporter.stats.values():
        yield from (one for one in found if isinstance(one, pytest.TestReport))
