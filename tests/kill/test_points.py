"""No kill point without a kill: each one that the program names is crossed by a test that ends it there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.kill.conftest import quick_folder  # noqa: F401 - a fixture
from tests.kill.driver import Driver
from tests.kill.scenarios import SCENARIOS
from tests.steps.trials import NAMES, TASKS, Trial
from tests.tools import needs

ROOT = Path(__file__).parents[2]

#: Of what no scenario and no trial of a step passes: the tests that kill it at every point of it, in a process.
ELSEWHERE = {
    "machines/test_errands.py": "machines.before_run machines.run_begun machines.before_run_stop machines.run_stopped "
    "machines.before_run_forget machines.run_forgotten",
    "operations/instances/parts/test_passwords.py": "machines.before_password machines.password_given "
    "passwords.recorded",
    "operations/assistant/test_run_command.py": "errand.noted errand.begun errand.recorded",
    "machines/test_following.py": "machines.before_follow machines.fresh_opened machines.followed",
    "machines/test_guest.py": "machines.before_detach machines.detached machines.before_hold machines.held "
    "machines.acted machines.resumed",
    "machines/test_merging.py": "machines.before_fill machines.filling machines.filled machines.before_stream "
    "machines.stream_begun machines.stream_flushed machines.streamed",
    "machines/test_moving.py": "machines.waiting machines.before_leave machines.leaving machines.left "
    "machines.before_recall machines.goes_on machines.recalled machines.before_take_over machines.told "
    "machines.disks_held machines.arrived machines.runs machines.taken_over",
    "machines/test_moving_on_ceph.py": "machines.others_kept_out",
    "upkeep/test_live_fences.py": "fencing.before fencing.others_out",
    "machines/test_qemu.py": "machines.spawned machines.opened machines.before_attach machines.chain_opened "
    "machines.attached machines.before_ahead machines.opened_ahead "
    "machines.before_switch machines.overlays_opened machines.switched machines.resized machines.reboot_prepared "
    "machines.reset",
    "buckets/test_drafts.py": "buckets.draft.written buckets.draft.kept buckets.made buckets.removed buckets.deleted",
    "buckets/test_folder.py": "buckets.sweep.unlinked",
    "buckets/test_uploads.py": "buckets.upload.made buckets.part.written buckets.part.recorded buckets.upload.arranged "
    "buckets.upload.placed buckets.upload.ended",
    "cli/words/test_db.py": "copies.tables_made copies.before_commit copies.committed",
    "contract/test_pool_failures.py": "pool.remove.before pool.remove.unlinked pool.remove.folder_synced "
    "pool.unpack.before pool.unpacked pool.absorb.committed",
    "networks/test_keepers.py": "networks.before_keep networks.kept networks.carried networks.before_start "
    "networks.started networks.before_egress networks.egress_started networks.before_let_go networks.keeper_ended "
    "networks.let_go",
    "networks/test_tunnels.py": "networks.before_tunnel networks.tunnel_made",
    "pools/rbd/test_pool.py": "rbd.image.made rbd.image.grown rbd.image.cut rbd.image.removed rbd.snapshot.made "
    "rbd.snapshot.removed rbd.remove.before rbd.left rbd.directory.before rbd.directory.changed "
    "rbd.bring_in.before_copy rbd.bring_in.copied rbd.send_out.before_copy rbd.send_out.copied rbd.image.renamed",
    "pools/rbd/test_cut_off.py": "rbd.cut_off.before rbd.cut_off.done rbd.shut_out.before rbd.shut_out.done",
    "pools/rbd/test_presence.py": "rbd.presence.made rbd.presence.said rbd.presence.entered",
    "pools/rbd/test_records.py": "rbd.records.before rbd.records.written rbd.identity.before rbd.identity.written",
    "pools/test_folder.py": "pool.sweep.before pool.sweep.unlinked",
    "pools/test_identity.py": "identity.drafted identity.written",
    "pools/test_qcow2.py": "pool.set_aside.before pool.set_aside.renamed pool.freeze.switched "
    "pool.absorb.before_stream pool.absorb.streamed",
    "pools/test_ready.py": "pool.ready.synced pool.ready.opened pool.ahead.before pool.ahead.linked "
    "pool.ahead.followed",
    "pools/test_records.py": "records.append.before records.append.written records.append.synced "
    "records.rewrite.before records.rewrite.done",
    "service/backups/test_thinning.py": "backup.thin.before backup.thin.unnamed backup.thin.removed",
    "service/backups/test_taking.py": "backup.file.before backup.file.copied backup.database.copied backup.made "
    "backup.named restore_backup.fetched restore_backup.placed restore_backup.done",
    "service/test_authority.py": "authority.drafted authority.published",
    "service/test_ballast.py": "ballast.fill.before ballast.fill.done ballast.give_up.before ballast.give_up.cut",
    "service/test_pairing.py": "pairing.before pairing.noted pairing.committed pairing.done",
    "service/test_rebuilding.py": "rebuild.keys_made rebuild.before rebuild.noted rebuild.committed rebuild.done "
    "rebuild.recorded",
    "service/test_resetting.py": "resetting.committed secrets.set_aside secrets.replaced",
    "service/test_upgrading.py": "upgrading.copied upgrading.kept",
    "upkeep/test_delivery.py": "postman.before_send postman.sent postman.recorded",
    "upkeep/test_lost_hosts.py": "lost_hosts.found lost_hosts.given_up lost_hosts.before_end lost_hosts.ended",
    "upkeep/test_live.py": "live.before_send live.before_entrance live.before_receive live.received live.sent "
    "live.decided live.taken_over live.refused live.recorded live.before_end live.ended live.stays live.lost",
    "upkeep/test_live_elsewhere.py": "live.looks_further",
    "upkeep/test_moving.py": "moving.begun moving.stopped",
    "upkeep/test_recorder.py": "recorder.numbered recorder.flushed",
}


@pytest.mark.slow
def test_every_point_is_crossed_by_a_kill(quick_folder):  # noqa: F811 - the fixture.
    needs("qemu-img", "qemu-io")

    killed = (
        _of_scenarios(quick_folder) | _of_steps(quick_folder) | {p for said in ELSEWHERE.values() for p in said.split()}
    )

    never = sorted(_declared() - killed)
    assert never == [], "kill them in a scenario of tests/kill, or where a test of their module does, and say so here"


def test_what_is_killed_elsewhere_is_killed_there():
    for file, points in ELSEWHERE.items():
        text = (ROOT / "tests" / file).read_text()
        named = [point for point in points.split() if f'"{point.rpartition(".")[2]}"' in text]
        assert "killed_at(" in text or named == points.split(), file
        assert set(points.split()) <= _declared(), f"{file}: there is no such point any more"


@cache
def _declared() -> frozenset[str]:
    """The points that the program names."""
    found = set()
    for path in (ROOT / "src" / "kiln").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reach":
                (point,) = node.args
                if isinstance(point, ast.Constant):
                    found.add(point.value)
                else:
                    assert ast.unparse(point) == "f'worker.{task.action}.claimed'", f"{path}: name the point in full"
                    found |= {f"worker.{action}.claimed" for action in TASKS}
    return frozenset(found)


def _of_scenarios(folder: Path) -> set[str]:
    found: set[str] = set()
    for name, scenario in SCENARIOS.items():
        found.update(Driver(scenario, folder / name).points())
    return found


def _of_steps(folder: Path) -> set[str]:
    trials = [Trial(name, folder / f"steps-{name}") for name in NAMES]
    trials += [Trial("CreateImage", folder / "unreadable", is_unreadable=True)]
    return {wrong.place for trial in trials for wrong in trial.disturbances() if wrong.kind == "kill"}
