"""Snapshots of a real lab: `full` is put back and brought back."""

from __future__ import annotations

from conftest import User, World
from saved import drafts, snapshots, steps, tell, wait_for


def test_up_saved_what_it_had_verified(full: User) -> None:
    saved = snapshots(full, "full")[""]
    assert len(saved["nodes"]) == 7  # type: ignore[arg-type]
    assert 0 < saved["stored_bytes"] < saved["memory_bytes"]  # type: ignore[operator]
    assert not drafts(full)


def test_reset_undoes_what_happened_since(full: User) -> None:
    tell(full, "full", "all", "touch /etc/changed /root/changed")
    tell(full, "full", "slurmctld-0", "scontrol", "update", "nodename=cpu-1", "state=drain", "reason=test")
    assert full.ok("status", "--name", "full", "--json").json()["problems"]
    full.ok("reset", "full")
    assert "changed" not in tell(full, "full", "all", "ls /etc /root")
    assert full.ok("status", "--name", "full", "--json").json()["problems"] == []


def test_a_job_that_ran_while_the_lab_was_saved_comes_to_its_end(full: User) -> None:
    script = "sbatch --parsable --time=5 --output=saved.out --wrap 'sleep 25; echo through'"
    number = full.ok("ssh", "--name", "full", "-l", "nucci", "slurmctld-0", "--", script).out.strip()
    assert number.isdigit(), number

    def state() -> str:
        return tell(full, "full", "slurmctld-0", "scontrol", "--oneliner", "show", "job", number)

    wait_for("the job runs", 60, lambda: "JobState=RUNNING" in state())
    full.ok("snapshot", "save", "busy", "--name", "full")
    assert "JobState=RUNNING" in state() or "JobState=COMPLETED" in state()
    wait_for("the job that went on is done", 120, lambda: "JobState=COMPLETED" in state())
    full.ok("snapshot", "restore", "busy")
    wait_for("the job that was brought back is done", 180, lambda: "JobState=COMPLETED" in state())
    assert "through" in full.ok("ssh", "--name", "full", "-l", "nucci", "login-0", "--", "cat saved.out").out
    full.ok("snapshot", "rm", "busy", "--name", "full")


def test_a_lab_that_was_destroyed_is_brought_back_whole(full: User, world_before: World) -> None:
    full.ok("destroy", "full")
    assert World.now().differs(world_before) == {}
    assert "restore" in full.ok("up", "full", "--dry-run").out
    said = full.ok("up", "full")
    assert "verified:" in said.out
    assert "restore" in steps(full, "full")
    assert "converge" not in steps(full, "full")
    assert "nothing changed" in full.ok("up", "full").out


def test_a_lab_that_was_brought_back_is_as_good_as_a_new_one(full: User) -> None:
    full.ok("verify", "--name", "full")
    result = full.ok("converge", "full", "--json").json()
    assert result["changed_tasks"] == []
    assert result["changed"] == 0
    assert result["ok"] > 100
