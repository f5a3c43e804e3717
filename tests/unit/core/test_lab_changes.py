"""`up` on a lab that is not as it was, or is to become another: what can stay stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from small_lab import SMALL, lab, record, small, up
from worlds import World

from labctl.cli.state import recounted, state
from labctl.console import silent
from labctl.definition.loading import load
from labctl.definition.models import Definition
from labctl.errors import (
    BootError,
    ConvergeError,
    HostError,
    JobsRunError,
    LabError,
    VerifyError,
)
from labctl.lab import Lab
from labctl.steps.settle import DEADLINES


def test_a_machine_that_was_stopped_is_started_and_the_lab_proven(world: World) -> None:
    up(world)
    world.provider.machines["small", "cpu-1"] = "stopped"
    assert up(world) == ["require", "stage", "connect small", "start cpu-1", "await cpu-1", "verify full"]


def test_a_machine_that_is_gone_is_made_anew_alone(world: World) -> None:
    up(world)
    del world.provider.machines["small", "cpu-1"]
    assert up(world)[3:] == ["make cpu-1", "await cpu-1", "converge", "verify full"]


def test_another_size_restarts_a_machine_that_slurm_gives_no_more_jobs(world: World) -> None:
    up(world)
    changed = small("nodes.cpu-1.memory=2048")
    done = up(world, changed)
    assert done[:2] == ["require", "drain by head"]
    assert done[4:] == [
        "stop cpu-1",
        "resize cpu-1 1/2048",
        "start cpu-1",
        "await cpu-1",
        "converge",
        "verify full",
    ]
    assert up(world, changed) == ["require"]
    assert "resize cpu-1 1/1024" in up(world)  # and back again


def test_jobs_keep_a_node_from_going_before_anything_is_touched(world: World) -> None:
    up(world)
    world.jobs = "7 nucci research cpu-1\n"
    changed = small("nodes.cpu-1.memory=2048")
    with pytest.raises(JobsRunError):
        up(world, changed)
    assert world.taken() == ["require", "drain by head", "resume by head"]
    lab(world, changed).up(silent(), force=True)
    assert "resize cpu-1 1/2048" in world.taken()


def test_nodes_take_jobs_again_if_the_change_ends_before_it_begins(world: World) -> None:
    up(world)
    world.failing("stage", HostError("the disk is full"))
    with pytest.raises(HostError):
        up(world, small("nodes.cpu-1.memory=2048"))
    assert world.taken() == ["require", "drain by head", "stage", "resume by head"]


@pytest.mark.parametrize("step", ["stop", "resize", "start", "await"])
def test_a_machine_gets_its_size_after_an_interrupt(world: World, step: str) -> None:
    up(world)
    changed = small("nodes.cpu-1.memory=2048")
    world.failing(step, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world, changed)
    again = up(world, changed)
    assert ("resize cpu-1 1/2048" in again) == (step in ("stop", "resize"))
    assert again[-2:] == ["converge", "verify full"]
    assert up(world, changed) == ["require"]


def test_a_machine_that_is_made_of_another_size_after_an_interrupt_is_not_taken_for_right(
    world: World,
) -> None:
    world.failing("await", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world)
    assert "resize cpu-1 1/2048" in up(world, small("nodes.cpu-1.memory=2048"))


def test_another_box_makes_every_machine_anew(world: World) -> None:
    up(world)
    world.box = "b"
    done = up(world)
    assert [call for call in done if call.startswith(("remove", "make"))] == [
        "remove head",
        "remove cpu-0",
        "remove cpu-1",
        "make head cpu-0 cpu-1",
    ]
    assert up(world) == ["require"]


def test_who_wants_a_node_more_does_not_lose_the_others(world: World) -> None:
    up(world)
    world.box = "b"
    grown = small(text=SMALL.replace("cpu-[0-1]", "cpu-[0-2]"))
    with pytest.raises(
        LabError, match="would be made anew, and what is on them lost: head, cpu-0, cpu-1"
    ) as no:
        up(world, grown, anew=False)
    assert "labctl up --name small" in no.value.hint
    assert world.taken() == ["require"]
    up(world)
    assert up(world, grown, anew=False)[3:] == ["make cpu-2", "await cpu-2", "converge", "verify full"]


def test_a_role_more_is_converged_and_a_role_less_makes_the_machine_anew(world: World) -> None:
    up(world)
    more = small(text=SMALL.replace("slurmctld]", "slurmctld, slurmd], partitions: [cpu]"))
    assert up(world, more)[3:] == ["converge", "verify full"]
    assert up(world)[3:] == ["remove head", "make head", "await head", "converge", "verify full"]


def test_the_order_of_nodes_may_change(world: World) -> None:
    up(world)
    before = record(world)["addresses"]
    definition = small()
    turned = Definition.model_validate({**definition.model_dump(), "nodes": definition.nodes[::-1]})
    assert up(world, turned)[3:] == ["converge", "verify full"]
    assert record(world)["addresses"] == before


def test_another_definition_is_converged_and_proven(world: World) -> None:
    up(world)
    assert up(world, small("vars.common_timezone=Europe/Berlin"))[3:] == ["converge", "verify full"]


def test_a_node_that_slurm_has_lost_is_converged(world: World) -> None:
    up(world)
    world.slurm["cpu-0"] = ("down", "Not responding")
    assert up(world)[3:] == ["converge", "verify full"]


def test_a_lab_that_failed_its_proof_is_not_taken_for_proven(world: World) -> None:
    up(world)
    world.provider.machines["small", "cpu-1"] = "stopped"
    world.failing("verify", VerifyError("a test failed"))
    with pytest.raises(VerifyError):
        up(world)
    assert up(world)[-1] == "verify full"


def test_machines_that_lost_their_disks_are_converged_even_after_an_interrupt(world: World) -> None:
    up(world)
    del world.provider.machines["small", "head"]
    world.failing("await", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world)
    assert up(world)[-2:] == ["converge", "verify full"]


def test_a_lab_whose_files_are_gone_is_made_anew_because_nobody_can_log_in(world: World) -> None:
    up(world)
    for path in sorted((world.home / ".labctl").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    done = up(world)
    assert "make head cpu-0 cpu-1" in done
    assert {"remove head", "remove cpu-0", "remove cpu-1"} <= set(done)


GROWN = SMALL.replace("cpu-[0-1]", "cpu-[1-3]")


def test_addresses_stay_when_nodes_come_and_go(world: World) -> None:
    up(world)
    before = record(world)["addresses"]
    assert before == {"head": "10.214.0.10", "cpu-0": "10.214.0.11", "cpu-1": "10.214.0.12"}
    done = up(world, small(text=GROWN))
    assert done[1] == "drain by head"
    assert done[4:] == [
        "remove cpu-0",
        "make cpu-2 cpu-3",
        "await cpu-2 cpu-3",
        "converge",
        "verify full",
    ]
    after = record(world)["addresses"]
    assert after == {
        "head": before["head"],
        "cpu-1": before["cpu-1"],
        "cpu-2": "10.214.0.11",
        "cpu-3": "10.214.0.13",
    }
    hosts = YAML(typ="safe").load(world.home / ".labctl/small/inventory/hosts.yml")
    assert "10.214.0.13" in str(hosts)
    names = {path.stem for path in (world.home / ".labctl/small/inventory/host_vars").iterdir()}
    assert names == {"head", "cpu-1", "cpu-2", "cpu-3"}


def test_a_lab_that_was_scaled_stays_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    up(world)
    monkeypatch.setattr(state, "directory", world.home)
    recounted("small", {"cpu": 3}).up(silent())
    assert world.taken()[3:] == ["make cpu-2", "await cpu-2", "converge", "verify full"]
    assert not Lab.find("small", base=world.home).up(silent()).changed
    world.jobs = "7 nucci research cpu-2\n"
    with pytest.raises(JobsRunError):
        recounted("small", {"cpu": 2}).up(silent())
    assert len(Lab.find("small", base=world.home).definition.machines()) == 4
    recounted("small", {"cpu": 2}).up(silent(), force=True)
    assert "remove cpu-2" in world.taken()
    assert len(Lab.find("small", base=world.home).definition.machines()) == 3


@pytest.mark.parametrize(
    ("network", "nodes"), [("10.9.9.0/29", 5), ("10.9.9.0/28", 11), ("10.9.9.0/24", 200)]
)
def test_a_network_is_used_to_its_last_address(world: World, network: str, nodes: int) -> None:
    text = SMALL.replace("cpu-[0-1]", f"cpu-[0-{nodes - 2}]")
    up(world, small(f"network={network}", text=text))
    addresses = record(world)["addresses"]
    assert len(set(addresses.values())) == nodes
    assert "10.9.9.1" not in addresses.values()


def test_host_keys_of_machines_made_anew_are_forgotten(world: World) -> None:
    up(world)
    known = world.home / ".labctl/small/known_hosts"
    known.write_text("10.214.0.11 ssh-ed25519 A\n10.214.0.12 ssh-ed25519 B\n")
    del world.provider.machines["small", "cpu-0"]
    up(world)
    assert known.read_text() == "10.214.0.12 ssh-ed25519 B\n"


def test_a_lab_of_another_folder_is_not_taken_over(world: World, tmp_path: Path) -> None:
    up(world)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for work in (Lab.up, Lab.create):
        with pytest.raises(LabError, match="there is a lab small already, of another folder") as refused:
            work(Lab.define(small(), base=elsewhere), silent())
        assert str(world.home) in refused.value.why
    assert world.taken()[-2:] == ["require", "require"]
    assert list(elsewhere.iterdir()) == []


def test_a_link_to_the_labs_folder_is_its_folder(world: World, tmp_path: Path) -> None:
    up(world)
    (tmp_path / "link").symlink_to(world.home)
    assert not Lab.define(small(), base=tmp_path / "link").up(silent()).changed


def test_a_lab_whose_folder_was_deleted_may_be_taken_over(world: World, tmp_path: Path) -> None:
    up(world)
    world.home.rename(tmp_path / "gone")
    world.home.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Lab.define(small(), base=elsewhere).up(silent())


OTHER = SMALL.replace("name: small", "name: other").replace("cpu-[0-1]", "node-[0-1]")


def test_another_definition_does_not_replace_a_lab_by_its_name_alone(world: World) -> None:
    up(world)
    with pytest.raises(LabError, match="made from small and not from other") as refused:
        up(world, small(text=OTHER), name="small")
    assert "cpu-0, cpu-1" in refused.value.why
    assert "labctl destroy small" in refused.value.hint
    assert ("small", "cpu-0") in world.provider.machines
    assert up(world) == ["require"]


def test_whoever_changes_the_definition_of_a_lab_may_replace_its_machines(world: World) -> None:
    """By the file that it was made from, or by the lab's own."""
    up(world, small(text=OTHER), name="mine")
    edited = OTHER.replace("node-[0-1]", "node-[1-2]")
    assert "remove node-0" in up(world, small(text=edited), name="mine")
    own = load(str(world.home / ".labctl/mine/lab.yml"), overrides=["nodes.node-2.name=node-3"])
    assert "remove node-2" in up(world, own)
    assert "remove node-3" in up(world, small(text=edited), name="mine")


def test_another_definition_may_take_a_lab_that_loses_nothing(world: World) -> None:
    up(world)
    same = SMALL.replace("name: small", "name: twin")
    assert up(world, small(text=same), name="small") == ["require"]


def test_machines_do_not_move_to_another_network(world: World) -> None:
    up(world)
    for work in (Lab.up, Lab.create):
        with pytest.raises(LabError, match="cannot become") as refused:
            work(lab(world, small("network=10.9.9.0/24")), silent())
        assert "labctl destroy small" in refused.value.hint
    assert up(world, small("network=10.214.0.0/24"))[3:] == ["converge", "verify full"]


def test_a_cluster_gets_time_to_settle_and_is_converged_if_it_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(world)
    monkeypatch.setattr("labctl.steps.settle._POLL", 0.01)
    world.provider.machines["small", "cpu-1"] = "stopped"
    world.slurm["cpu-1"] = ("down", "Not responding")
    monkeypatch.setitem(DEADLINES, "qemu", 60.0)
    looks: list[str] = []
    real = world.sinfo

    def settle() -> str:
        looks.append("sinfo")
        if len(looks) == 3:
            world.slurm.clear()
        return real()

    monkeypatch.setattr(world, "sinfo", settle)
    assert up(world)[3:] == ["start cpu-1", "await cpu-1", "verify full"]
    world.provider.machines["small", "cpu-1"] = "stopped"
    world.slurm["cpu-1"] = ("down", "Not responding")
    monkeypatch.setitem(DEADLINES, "qemu", 0.05)
    assert up(world)[3:] == ["start cpu-1", "await cpu-1", "converge", "verify full"]


TWO_USERS = SMALL.replace("uid: 10000}", "uid: 10000}, {name: ada, uid: 10001, groups: [research]}")


def removed(world: World) -> dict[str, list[str]]:
    """What the inventory says of accounts that are to go; nothing once they have gone."""
    path = world.home / ".labctl/small/inventory/group_vars/all/removed.yml"
    return dict(YAML(typ="safe").load(path)) if path.is_file() else {}


def kinds(world: World, definition: Definition) -> list[str]:
    return [action.kind for action in lab(world, definition).plan(verify=False)]


def test_who_leaves_the_definition_leaves_the_directory_and_is_remembered_until_then(world: World) -> None:
    up(world, small(text=TWO_USERS))
    assert removed(world) == {}
    assert kinds(world, small()) == ["forget", "converge"]
    world.failing("converge", ConvergeError("a task failed"))
    with pytest.raises(ConvergeError):
        up(world, small())
    assert removed(world) == {
        "ldap_server_absent_users": ["ada"],
        "ldap_server_absent_groups": ["ada", "research"],
        "ldap_client_absent_users": ["ada"],
        "ldap_client_absent_groups": ["ada", "research"],
    }
    assert kinds(world, small()) == ["forget", "converge"]
    assert up(world, small())[3:] == ["converge", "verify full"]
    assert removed(world) == {}
    assert kinds(world, small()) == []


def test_who_comes_back_in_between_stays(world: World) -> None:
    up(world, small(text=TWO_USERS))
    world.failing("converge", ConvergeError("a task failed"))
    with pytest.raises(ConvergeError):
        up(world, small())
    assert kinds(world, small(text=TWO_USERS)) == ["converge"]
    world.failing("converge", ConvergeError("a task failed"))
    with pytest.raises(ConvergeError):
        up(world, small(text=TWO_USERS))
    assert removed(world) == {}


def test_converge_alone_ends_it_unless_it_is_a_part_or_a_check(world: World) -> None:
    up(world, small(text=TWO_USERS))
    world.failing("converge", ConvergeError("a task failed"))
    with pytest.raises(ConvergeError):
        up(world, small())
    lab(world).converge(silent(), check=True)
    lab(world).converge(silent(), limit="head")
    assert "ada" in removed(world)["ldap_server_absent_users"]
    lab(world).converge(silent())
    assert removed(world) == {}


def test_whom_the_definition_itself_wants_absent_is_absent_with_those_who_leave(world: World) -> None:
    up(world, small("vars.ldap_client_absent_users=[eve]", text=TWO_USERS))
    assert removed(world) == {}
    world.failing("converge", ConvergeError("a task failed"))
    with pytest.raises(ConvergeError):
        up(world, small("vars.ldap_client_absent_users=[eve]"))
    assert removed(world)["ldap_client_absent_users"] == ["eve", "ada"]
    assert removed(world)["ldap_server_absent_users"] == ["ada"]


def test_who_was_never_in_a_directory_need_not_leave_it(world: World) -> None:
    lab(world, small(text=TWO_USERS)).create(silent())
    assert "forget" not in kinds(world, small())


def losing(
    world: World, monkeypatch: pytest.MonkeyPatch, *, looks: int, **states: tuple[str, str]
) -> list[str]:
    """From the next converge on Slurm says this of nodes, for so many looks; which looks there were since."""
    monkeypatch.setattr("labctl.steps.settle._POLL", 0.01)
    monkeypatch.setitem(DEADLINES, "qemu", 60.0)
    real, since = world.sinfo, list[str]()

    def sinfo() -> str:
        if "converge" in world.calls:
            since.append("look")
            world.slurm.update(states)
        if len(since) > looks:
            for node in states:
                world.slurm.pop(node, None)
        return real()

    monkeypatch.setattr(world, "sinfo", sinfo)
    return since


def test_nodes_that_slurm_lost_sight_of_in_a_converge_are_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(world)
    looks = losing(world, monkeypatch, looks=3, **{"cpu-0": ("unknown*", "none"), "cpu-1": ("idle*", "none")})
    up(world, small("vars.common_timezone=UTC"), verify=False)
    assert len(looks) == 3 + 1 + 1  # and one for the status that is shown
    looks.clear()
    Lab.find("small", base=world.home).converge(silent())
    assert len(looks) == 3 + 1


@pytest.mark.parametrize(
    "work",
    [
        lambda world: lab(world).converge(silent()),
        lambda world: up(world, small("vars.common_timezone=UTC"), verify=False),
    ],
    ids=["converge", "up"],
)
def test_nodes_that_slurm_does_not_find_again_in_time_are_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch, work: Callable[[World], object]
) -> None:
    up(world)
    losing(world, monkeypatch, looks=99, **{"cpu-1": ("idle*", "none")})
    monkeypatch.setitem(DEADLINES, "qemu", 0.0)
    with pytest.raises(BootError, match="Slurm does not use all of them in time") as late:
        work(world)
    assert late.value.why == "cpu-1 is idle*"


def test_a_check_waits_for_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    up(world)
    world.taken()
    looks = losing(world, monkeypatch, looks=3, **{"cpu-0": ("unknown*", "none")})
    lab(world).converge(silent(), check=True)
    assert looks == []


@pytest.mark.parametrize(
    "before",
    [{"cpu-1": ("drained", "a broken disk")}, {"cpu-1": ("down*", "Not responding")}],
    ids=["a human took it away", "it was so before"],
)
def test_nobody_waits_for_nodes_that_nothing_is_expected_of(
    world: World, monkeypatch: pytest.MonkeyPatch, before: dict[str, tuple[str, str]]
) -> None:
    up(world)
    world.slurm.update(before)
    looks = losing(world, monkeypatch, looks=1, **{"cpu-0": ("unknown*", "none")})
    lab(world).converge(silent())
    assert len(looks) == 1 + 1
    assert world.slurm == before
