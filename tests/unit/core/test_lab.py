"""A lab: found however much of it is left, looked at, reached into, and removed without a trace."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_lab import SMALL, lab, small, up
from worlds import FakeProvider, World

from labctl.console import BaseReporter
from labctl.errors import BootError, DefinitionError, HostError, LabError, LockedError, UsageError
from labctl.lab import Lab
from labctl.providers.base import MachineState
from labctl.render.connection import connection


@pytest.fixture
def made(world: World) -> World:
    """A host with the lab `small`."""
    up(world)
    world.taken()
    return world


def twin(world: World) -> None:
    """A second lab, in the same folder."""
    up(world, small(text=SMALL.replace("name: small", "name: twin")))
    world.taken()


# Found


def test_the_only_lab_needs_no_name(made: World) -> None:
    assert Lab.find(None, base=made.home).name == "small"


def test_it_is_found_from_a_folder_below(made: World) -> None:
    below = made.home / "jobs" / "today"
    below.mkdir(parents=True)
    found = Lab.find("small", base=below)
    assert found.directory == made.home / ".labctl" / "small"
    assert found.definition == small()


def test_it_is_found_from_anywhere_by_its_machines(made: World, tmp_path: Path) -> None:
    for name in ("small", None):
        found = Lab.find(name, base=tmp_path)
        assert found.directory == made.home / ".labctl" / "small"
        assert found.definition == small()


def test_among_several_one_must_be_named(made: World, tmp_path: Path) -> None:
    twin(made)
    for base in (made.home, tmp_path):
        with pytest.raises(LabError, match="which lab") as refused:
            Lab.find(None, base=base)
        assert "small, twin" in refused.value.why
        assert "--name" in refused.value.hint
    assert Lab.find("twin", base=made.home).name == "twin"


def test_a_wrong_name_gets_the_nearest_one(made: World) -> None:
    with pytest.raises(UsageError, match="there is no lab 'smal'") as refused:
        Lab.find("smal", base=made.home)
    assert "small" in refused.value.hint


def test_where_there_is_no_lab_the_way_to_one_is_said(world: World) -> None:
    with pytest.raises(UsageError, match="there is no lab") as refused:
        Lab.find(None, base=world.home)
    assert refused.value.hint == "labctl up"


def test_a_lab_without_files_is_found_by_its_machines(made: World) -> None:
    shutil.rmtree(made.home / ".labctl")
    found = Lab.find("small", base=made.home)
    assert found.status().problems == ("its files are gone",)
    assert {node.name for node in found.status().nodes} == {"head", "cpu-0", "cpu-1"}
    with pytest.raises(UsageError, match="the files of the lab small are gone") as refused:
        found.nodes("all")
    assert "labctl destroy small" in refused.value.hint


def test_a_lab_that_has_but_a_network_is_found_and_removed(world: World, reporter: BaseReporter) -> None:
    world.failing("make", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world)
    shutil.rmtree(world.home / ".labctl")
    Lab.find("small", base=world.home).destroy(reporter)
    assert world.provider.networks == {}
    with pytest.raises(UsageError):
        Lab.find("small", base=world.home)


@pytest.mark.parametrize("step", ["stage", "connect", "make", "await", "converge", "verify"])
def test_whatever_was_interrupted_can_be_named_and_removed(
    world: World, step: str, reporter: BaseReporter
) -> None:
    world.failing(step, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        up(world)
    Lab.find("small", base=world.home).destroy(reporter)
    assert (world.provider.machines, world.provider.networks) == ({}, {})
    assert list(world.home.iterdir()) == []


def test_a_lab_whose_definition_was_broken_can_be_looked_at_and_removed(
    made: World, reporter: BaseReporter
) -> None:
    (made.home / ".labctl/small/lab.yml").write_text("name: small\nnodes: [")
    found = Lab.find("small", base=made.home)
    with pytest.raises(DefinitionError, match=r"lab\.yml"):
        found.up(reporter)
    assert "lab.yml is broken" in found.status().problems[0]
    found.destroy(reporter)
    assert list(made.home.iterdir()) == []


# All of them


def test_every_lab_of_the_host_is_listed(made: World) -> None:
    twin(made)
    made.provider.machines["twin", "head"] = "stopped"
    one, two = Lab.all()
    assert (one.name, one.state, one.running, one.nodes) == ("small", "running", 3, 3)
    assert (two.name, two.state, two.running, two.nodes) == ("twin", "partial", 2, 3)
    assert one.directory == made.home / ".labctl" / "small"
    assert one.network != two.network != ""


def test_a_lab_whose_folder_is_gone_is_listed_as_such(made: World) -> None:
    (there,) = Lab.all()
    assert there.files
    shutil.rmtree(made.home / ".labctl")
    (gone,) = Lab.all(made.home)
    assert (gone.name, gone.state, gone.files) == ("small", "running", False)
    assert gone.directory == made.home / ".labctl" / "small"


def test_a_lab_without_machines_is_listed_where_its_files_are(world: World, reporter: BaseReporter) -> None:
    lab(world).create(reporter)
    below = world.home / "a" / "b"
    below.mkdir(parents=True)
    (unmade,) = Lab.all(below)
    assert (unmade.name, unmade.state, unmade.running, unmade.nodes) == ("small", "missing", 0, 3)
    assert (unmade.network, unmade.files) == ("10.214.0.0/24", True)
    assert Lab.all() == ()
    (world.home / ".labctl/small/lab.yml").write_text("name: small\nnodes: [")
    assert [one.nodes for one in Lab.all(world.home)] == [0]


def test_a_lab_that_has_machines_is_listed_once(made: World) -> None:
    assert [one.name for one in Lab.all(made.home)] == ["small"]


def test_labs_of_every_provider_are_listed(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = FakeProvider("virtualbox", machines={("boxed", "head"): "running"})
    by_name = {"libvirt": made.provider, "virtualbox": other}
    monkeypatch.setattr("labctl.providers.there", lambda: tuple(by_name))
    monkeypatch.setattr("labctl.providers.choose", by_name.__getitem__)
    boxed, small = Lab.all()
    assert (boxed.name, boxed.network, boxed.directory, boxed.files) == ("boxed", "", None, False)
    assert (small.name, small.network) == ("small", "10.214.0.0/24")


# Removed


def test_destroy_leaves_nothing_and_takes_nothing_of_others(made: World, reporter: BaseReporter) -> None:
    twin(made)
    lab(made).destroy(reporter)
    assert {name for name, _ in made.provider.machines} == {"twin"}
    assert set(made.provider.networks) == {"twin"}
    assert [path.name for path in (made.home / ".labctl").iterdir()] == ["twin"]
    Lab.find("twin", base=made.home).destroy(reporter)
    assert list(made.home.iterdir()) == []


def test_files_of_others_in_the_folder_stay(made: World, reporter: BaseReporter) -> None:
    (made.home / ".labctl" / "notes.txt").write_text("mine")
    lab(made).destroy(reporter)
    assert (made.home / ".labctl" / "notes.txt").exists()


def test_a_destroy_that_failed_can_be_repeated(made: World, reporter: BaseReporter) -> None:
    made.failing("destroy", BootError("libvirt is busy"))
    with pytest.raises(BootError):
        lab(made).destroy(reporter)
    Lab.find("small", base=made.home).destroy(reporter)
    assert list(made.home.iterdir()) == []


def test_a_lab_that_is_worked_on_is_not_removed(made: World, reporter: BaseReporter) -> None:
    found = Lab.find("small", base=made.home)
    with found.files.locked("small", "up"), pytest.raises(LockedError):
        Lab.find("small", base=made.home).destroy(reporter)
    assert made.calls == []


# Looked at


def test_status_joins_what_is_defined_what_runs_and_what_slurm_says(made: World) -> None:
    made.provider.machines["small", "cpu-1"] = "stopped"
    made.slurm["cpu-1"] = ("down*", "Not responding")
    now = lab(made).status()
    assert (now.state, now.provider, now.driver, now.network) == (
        "partial",
        "libvirt",
        "qemu",
        "10.214.0.0/24",
    )
    nodes = {node.name: node for node in now.nodes}
    assert nodes["cpu-1"].state == "stopped"
    assert (nodes["cpu-1"].slurm, nodes["cpu-1"].reason) == ("down*", "Not responding")
    assert (nodes["cpu-0"].slurm, nodes["cpu-0"].memory, nodes["cpu-0"].address) == (
        "idle",
        1024,
        "10.214.0.11",
    )
    assert now.problems == ("cpu-1 is stopped",)


def test_a_machine_that_is_not_there_is_missing_and_slurm_is_not_asked_in_vain(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    del made.provider.machines["small", "head"]
    monkeypatch.setattr(made, "sinfo", lambda: pytest.fail("there is no controller"))
    now = lab(made).status()
    assert [(node.name, node.state) for node in now.nodes] == [
        ("head", "missing"),
        ("cpu-0", "running"),
        ("cpu-1", "running"),
    ]
    assert now.problems == ("head is missing",)


def test_a_lab_that_is_nowhere_is_missing(world: World) -> None:
    now = lab(world).status()
    assert (now.state, now.uptime_seconds, now.network) == ("missing", None, "")


# Reached into


@pytest.mark.parametrize(
    ("pattern", "nodes"),
    [
        ("all", ["head", "cpu-0", "cpu-1"]),
        ("@all", ["head", "cpu-0", "cpu-1"]),
        ("cpu-[0-1]", ["cpu-0", "cpu-1"]),
        ("cpu-1 head", ["head", "cpu-1"]),
        ("cpu-1,head", ["head", "cpu-1"]),
        ("@slurmd", ["cpu-0", "cpu-1"]),
        ("@cpu", ["cpu-0", "cpu-1"]),
        ("@slurmctld;cpu-0", ["head", "cpu-0"]),
    ],
)
def test_nodes_are_named_as_in_slurm_by_role_and_by_partition(
    world: World, pattern: str, nodes: list[str]
) -> None:
    assert lab(world).nodes(pattern) == tuple(nodes)


@pytest.mark.parametrize(
    ("pattern", "what", "hint"),
    [
        ("cpu-[0-2]", "small has no node cpu-2", "did you mean cpu-"),
        ("xyz", "small has no node xyz", "its nodes: cpu-[0-1],head"),
        ("@slurm", "small has no group @slurm", "did you mean @slurm"),
        ("@xyz", "small has no group @xyz", "@ldap_server"),
        ("cpu-[0-", "'cpu-[0-' is no hostlist", "@slurmd"),
    ],
)
def test_a_node_that_is_not_there_is_named_with_what_there_is(
    world: World, pattern: str, what: str, hint: str
) -> None:
    with pytest.raises(UsageError) as refused:
        lab(world).nodes(pattern)
    assert refused.value.what == what
    assert hint in refused.value.hint


def test_a_lab_that_was_never_made_cannot_be_reached(world: World) -> None:
    with pytest.raises(UsageError, match="the lab small was never made") as refused:
        lab(world).ssh_command("cpu-0")
    assert refused.value.hint == "labctl up --name small"


@pytest.mark.parametrize(
    ("state", "why", "hint"),
    [
        ("stopped", "it is stopped", "labctl start small --nodes cpu-1"),
        ("suspended", "it is suspended", "labctl resume small --nodes cpu-1"),
        ("crashed", "it is crashed", "labctl up --name small"),
        (None, "it had one, which is gone", "labctl up --name small"),
    ],
)
def test_a_node_that_nobody_gets_into_is_named_with_what_to_do(
    made: World, state: MachineState | None, why: str, hint: str
) -> None:
    if state:
        made.provider.machines["small", "cpu-1"] = state
    else:
        del made.provider.machines["small", "cpu-1"]
    ((node, error),) = lab(made).unreachable(["head", "cpu-1"]).items()
    assert (node, error.why) == ("cpu-1", why)
    assert hint in error.hint


def test_who_cannot_be_asked_for_machines_keeps_nobody_from_them(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: object) -> None:
        raise HostError("libvirt does not answer")

    monkeypatch.setattr("labctl.providers.choose", nobody)
    assert lab(made).unreachable(["head"]) == {}


def test_ssh_gets_the_labs_configuration_and_the_command_as_it_is(made: World) -> None:
    config = str(made.home / ".labctl/small/ssh_config")
    reached = lab(made)
    assert reached.ssh_command("cpu-0") == ["ssh", "-F", config, "cpu-0"]
    assert reached.ssh_command("cpu-0", ["ls", "-l", "a b"], user="ann", tty=True) == [
        "ssh", "-F", config, "-t", "-l", "ann", "cpu-0", "--", "ls", "-l", "a b",
    ]  # fmt: skip
    assert "-T" in reached.ssh_command("cpu-0", tty=False)
    assert reached.scp_command(["a b", "c"], "cpu-0:/d", recursive=True) == [
        "scp", "-q", "-F", config, "-r", "--", "a b", "c", "cpu-0:/d",
    ]  # fmt: skip


def test_a_script_for_root_gets_the_labs_configuration(made: World) -> None:
    config = str(made.home / ".labctl/small/ssh_config")
    argv = lab(made).root_command("cpu-0", "id", "a  b")
    assert argv[:3] == ["ssh", "-F", config]
    assert argv[-1].endswith("sh -c id sh 'a  b'")


def test_services_are_asked_of_the_nodes_that_run(made: World) -> None:
    made.provider.machines["small", "cpu-1"] = "stopped"
    made.units["head", "slapd"] = "failed"
    assert lab(made).status().services == ()
    now = lab(made).status(services=True)
    assert [(one.name, one.node, one.state) for one in now.services] == [
        ("slapd", "head", "failed"),
        ("nfs-server", "head", "active"),
        ("slurmctld", "head", "active"),
        ("munge", "head", "active"),
        ("sssd", "head", "active"),
        ("slurmd", "cpu-0", "active"),
        ("munge", "cpu-0", "active"),
        ("sssd", "cpu-0", "active"),
    ]
    assert now.hints == ("labctl start small",)
    made.provider.machines["small", "cpu-1"] = "running"
    now = lab(made).status(services=True)
    assert now.problems == ("slapd on head is failed",)
    assert "labctl logs --name small head -u slapd" in now.hints[0]


def test_what_runs_has_its_memory_as_it_was_made(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made.provider.machines["small", "cpu-1"] = "stopped"
    assert lab(made, small("nodes.@slurmd.memory=2048")).taken() == {"head": 768, "cpu-0": 1024}

    def nobody(_: object) -> None:
        raise HostError("libvirt does not answer")

    monkeypatch.setattr("labctl.providers.choose", nobody)
    assert lab(made).taken() == {}


def test_how_to_get_in_is_said_while_there_is_a_way(made: World) -> None:
    config = made.home / ".labctl/small/ssh_config"
    assert lab(made).status().connect == ("labctl ssh --name small head", f"ssh -F {config} head")
    made.provider.machines["small", "head"] = "stopped"
    assert lab(made).status().connect[0] == "labctl ssh --name small cpu-0"
    for node in ("cpu-0", "cpu-1"):
        made.provider.machines["small", node] = "stopped"
    assert lab(made).status().connect == ()


def test_each_machine_has_an_address_and_a_mac_of_its_own_for_ever(made: World) -> None:
    layout = lab(made).layout()
    assert len({machine.mac for machine in layout.machines}) == 3
    assert all(machine.mac.startswith("52:54:00:") for machine in layout.machines)
    assert [machine.domain for machine in layout.machines] == [
        "labctl_small_head",
        "labctl_small_cpu-0",
        "labctl_small_cpu-1",
    ]
    assert lab(made).layout() == layout


def test_the_same_node_of_two_labs_has_two_macs(made: World) -> None:
    twin(made)
    both = [Lab.find(name, base=made.home).layout().machines for name in ("small", "twin")]
    assert len({machine.mac for machines in both for machine in machines}) == 6


def test_a_name_of_its_own_changes_nothing_but_the_name(world: World) -> None:
    named = Lab.define(small(), base=world.home, name="play")
    assert (named.name, named.directory) == ("play", world.home / ".labctl" / "play")
    assert named.definition == small("name=play")
    assert named.definition.machines() == small().machines()
    with pytest.raises(DefinitionError):
        Lab.define(small(), base=world.home, name="no such_name")


def test_a_lab_made_on_one_provider_stays_there(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def choose(wanted: str) -> object:
        asked.append(wanted)
        return made.provider

    monkeypatch.setattr("labctl.providers.choose", choose)
    Lab.find("small", base=made.home).status()
    Lab.define(small(), base=made.home, provider="virtualbox").status()
    Lab.define(small("name=new", "provider=virtualbox"), base=made.home).status()
    Lab.define(small("name=new"), base=made.home).status()
    assert asked == ["libvirt", "virtualbox", "virtualbox", "auto"]


def edited(world: World, before: str, after: str) -> Lab:
    """The lab after somebody has edited its lab.yml, before `up`."""
    path = world.home / ".labctl/small/lab.yml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return Lab.find("small", base=world.home)


def test_a_node_that_came_to_the_definition_keeps_nobody_from_the_others(
    made: World, reporter: BaseReporter
) -> None:
    grown = edited(made, "cpu-[0-1]", "cpu-[0-2]")
    assert [machine.node.name for machine in grown.layout().machines] == ["head", "cpu-0", "cpu-1"]
    assert "cpu-2" not in [node.name for node in connection(grown.layout()).nodes]
    (unmade,) = grown.unreachable(["cpu-0", "cpu-2"]).values()
    assert unmade.what == "cpu-2 of small has no machine"
    assert unmade.why == "lab.yml names it, and nothing was made of that yet"
    status = grown.status()
    assert [node.state for node in status.nodes if node.name == "cpu-2"] == ["missing"]
    assert status.hints[0] == "labctl up --name small"
    grown.start(reporter, "cpu-0")
    with pytest.raises(LabError, match="cpu-2 of small has no machine") as refused:
        grown.start(reporter)
    assert refused.value.hint == "labctl up --name small"


def test_without_the_controller_that_the_definition_names_now_nothing_can_be_said_of_the_lab(
    made: World,
) -> None:
    with pytest.raises(LabError, match="boss of small has no machine") as refused:
        edited(made, "head", "boss").layout()
    assert "labctl up --name small" in refused.value.hint
