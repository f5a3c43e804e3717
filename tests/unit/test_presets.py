"""The labs that ship with labctl are what their descriptions say."""

from __future__ import annotations

import pytest

from labctl.definition.accounts import resolve
from labctl.definition.loading import dump, load, loads, presets
from labctl.definition.shipped import paths
from labctl.errors import DefinitionError

NAMES = ["cpu", "full", "gpu", "mini-hpc", "multi-node"]


def test_the_five_presets_ship_and_say_what_they_are() -> None:
    assert sorted(preset.name for preset in presets()) == NAMES
    assert all(len(preset.description) > 20 for preset in presets())
    for (
        path
    ) in paths().values():  # the description is the first line; what comes after it is a sentence of its own
        first, second = path.read_text(encoding="utf-8").splitlines()[:2]
        assert first.startswith("# ")
        assert not second.startswith("# ") or second[2].isupper()
    full = next(preset for preset in presets() if preset.name == "full")
    assert (full.nodes, full.cpus, full.memory) == (7, 11, 6144)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_named_as_its_file_and_survives_being_written(name: str) -> None:
    lab = load(name)
    assert lab.name == name
    assert loads(dump(lab)) == lab


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="there is no preset 'mini-hcp'; did you mean 'mini-hpc'"):
        load("mini-hcp")


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_small_presets_run_everything_on_one_node(name: str) -> None:
    (node,) = load(name).machines()
    assert node.roles == ("ldap_server", "nfs_server", "slurmctld", "slurmd")
    assert node.cpus == 4


def test_cpu_has_the_partition_debug() -> None:
    (node,) = load("cpu").machines()
    assert node.partitions == ("debug",)


def test_gpu_has_two_fake_gpus_in_debug_and_gpu() -> None:
    lab = load("gpu")
    (node,) = lab.machines()
    assert (node.gpus, node.gpu_type, node.partitions) == (2, "fake", ("debug", "gpu"))
    assert lab.default_partition() == "debug"


def test_multi_node_has_a_controller_and_two_compute_nodes() -> None:
    nodes = load("multi-node").machines()
    assert [node.name for node in nodes] == ["slurmctld-0", "compute-0", "compute-1"]
    assert nodes[0].roles == ("ldap_server", "nfs_server", "slurmctld")
    assert {node.partitions for node in nodes[1:]} == {("cpu",)}


def test_full_has_a_machine_for_each_service_and_four_fake_gpus() -> None:
    lab = load("full")
    assert [node.name for node in lab.machines()] == [
        "ldap-0",
        "nfs-0",
        "slurmctld-0",
        "login-0",
        "cpu-0",
        "cpu-1",
        "gpu-0",
    ]
    assert lab.machines()[-1].gpus == 4
    assert lab.default_partition() == "cpu"
    assert [partition.name for partition in lab.partitions] == ["cpu", "gpu"]


def test_mini_hpc_has_the_tutorials_values_without_its_weaknesses() -> None:
    lab = load("mini-hpc")
    assert [node.name for node in lab.machines()] == [
        "ldap-0", "nfs-0", "slurmctld-0", "slurmd-0", "slurmd-1", "slurmd-2",
    ]  # fmt: skip
    assert lab.vars["ldap_server_suffix"] == "dc=mini-hpc,dc=org"
    assert {group.name: group.gid for group in resolve(lab.users, lab.groups)} == {
        "nucci": 10000,
        "research": 10100,
    }
    slurm = lab.vars["slurm_common_config"]
    assert (slurm["SlurmctldPort"], slurm["SlurmdPort"], slurm["FirstJobId"]) == (7002, 7003, 65536)
    assert (lab.partitions[0].max_time, lab.partitions[0].options) == ("30", {"MaxNodes": 3})
    assert "no_root_squash" not in dump(lab)
    assert "password" not in dump(lab)
