"""`--cpu-nodes`, `--gpus-per-node` and their like change a definition, or say what it does not have."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.definition.loading import dump, load, loads
from labctl.definition.models import Definition
from labctl.definition.sizes import Sizes
from labctl.errors import DefinitionError


def sized(preset: str, *overrides: str, **sizes: Any) -> Definition:
    return load(preset, overrides=overrides, sizes=Sizes(**sizes))


def nodes(lab: Definition) -> str:
    return " ".join(node.name for node in lab.machines())


def refused(preset: str, **sizes: Any) -> str:
    with pytest.raises(DefinitionError) as refusal:
        sized(preset, **sizes)
    return refusal.value.why


@pytest.mark.parametrize(
    ("preset", "sizes", "there"),
    [
        ("full", {"cpu_nodes": 4}, "ldap-0 nfs-0 slurmctld-0 login-0 cpu-0 cpu-1 cpu-2 cpu-3 gpu-0"),
        ("full", {"cpu_nodes": 1, "gpu_nodes": 2}, "ldap-0 nfs-0 slurmctld-0 login-0 cpu-0 gpu-0 gpu-1"),
        ("full", {"cpu_nodes": 2, "gpu_nodes": 1}, "ldap-0 nfs-0 slurmctld-0 login-0 cpu-0 cpu-1 gpu-0"),
        ("multi-node", {"cpu_nodes": 3}, "slurmctld-0 compute-0 compute-1 compute-2"),
        ("mini-hpc", {"cpu_nodes": 1}, "ldap-0 nfs-0 slurmctld-0 slurmd-0"),
        ("gpu", {"gpu_nodes": 2}, "gpu-0 gpu-1"),
    ],
)
def test_so_many_nodes_of_a_kind(preset: str, sizes: dict[str, int], there: str) -> None:
    assert nodes(sized(preset, **sizes)) == there


def test_a_further_node_is_like_the_last_but_only_computes() -> None:
    first, second, third = sized("cpu", cpu_nodes=3).machines()
    assert "slurmctld" in first.roles
    assert (second.roles, third.roles) == (("slurmd",), ("slurmd",))
    assert (second.cpus, second.memory, second.partitions) == (first.cpus, first.memory, first.partitions)


def test_without_its_last_node_a_partition_goes_as_well() -> None:
    lab = sized("full", gpu_nodes=0)
    assert nodes(lab) == "ldap-0 nfs-0 slurmctld-0 login-0 cpu-0 cpu-1"
    assert [partition.name for partition in lab.partitions] == ["cpu"]
    assert lab.default_partition() == "cpu"
    assert sized("full", cpu_nodes=0).default_partition() == "gpu"


def test_names_go_on_where_they_end_and_are_never_there_twice() -> None:
    text = """\
name: own
users: [{name: nucci, uid: 10000}]
nodes:
  - {name: head, roles: [ldap_server, nfs_server, slurmctld]}
  - {name: "cn[008-009]", roles: [slurmd], partitions: [all]}
  - {name: cn011, roles: [slurmd], gpus: 1, partitions: [all]}
partitions: [{name: all}]
"""
    assert nodes(loads(text, sizes=Sizes(cpu_nodes=4))) == "head cn008 cn009 cn010 cn012 cn011"
    assert nodes(loads(text, sizes=Sizes(cpu_nodes=1, gpu_nodes=2))) == "head cn008 cn011 cn012"
    with pytest.raises(DefinitionError) as refusal:
        loads(text.replace("cn[008-009]", "one"), sizes=Sizes(cpu_nodes=2))
    assert "--cpu-nodes 2: 'one' has no number at its end to count on from" in refusal.value.why


def test_sizes_are_of_every_node_that_computes_and_of_no_other() -> None:
    lab = sized("full", cpus_per_node=3, memory_per_node=1500, gpus_per_node=2)
    found = {node.name: (node.cpus, node.memory, node.gpus) for node in lab.machines()}
    assert found["cpu-1"] == (3, 1500, 0)
    assert found["gpu-0"] == (3, 1500, 2)
    assert found["ldap-0"] == (1, 512, 0)


def test_what_is_set_comes_last() -> None:
    lab = sized("full", "nodes.cpu-3.memory=2000", cpu_nodes=4, memory_per_node=1500)
    assert {node.name: node.memory for node in lab.machines()}["cpu-3"] == 2000
    assert {node.name: node.memory for node in lab.machines()}["cpu-2"] == 1500


@pytest.mark.parametrize(
    ("preset", "sizes", "words"),
    [
        ("multi-node", {"gpu_nodes": 1}, "--gpu-nodes 1: the definition has no node with GPUs"),
        ("cpu", {"gpus_per_node": 4}, "--gpus-per-node 4: the definition has no node with GPUs"),
        ("gpu", {"cpu_nodes": 2}, "--cpu-nodes 2: the definition has no node with the role slurmd and without"),
        ("cpu", {"cpu_nodes": 0}, "--cpu-nodes 0: cpu-0 cannot go: it has the roles ldap_server, nfs_server"),
        ("multi-node", {"cpu_nodes": 0}, "no node has the role slurmd"),
        ("full", {"memory_per_node": 100}, "--memory-per-node 100: nodes.cpu-[0-1].memory: 100 is too little"),
        ("full", {"cpus_per_node": 0}, "--cpus-per-node 0: nodes.cpu-[0-1].cpus: 0 is too little: at least 1"),
        ("full", {"cpu_nodes": 10**9}, "--cpu-nodes 1000000000: a lab has 1024 nodes at most"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_option(preset: str, sizes: dict[str, int], words: str) -> None:
    assert words in refused(preset, **sizes)


@pytest.mark.parametrize("nodes", ["5", "[5, {roles: 5}, {roles: [slurmd], partitions: 5, name: 5}]"])
def test_a_definition_that_is_broken_is_told_so(nodes: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        loads(
            f"name: x\nnodes: {nodes}\n",
            name="lab.yml",
            overrides=["nodes.@slurmd.cpus=1"],
            sizes=Sizes(cpu_nodes=2, cpus_per_node=2),
        )
    assert "lab.yml:2: nodes" in refusal.value.why


@pytest.mark.parametrize(
    ("preset", "counts", "there"),
    [
        ("full", {"cpu": 3}, "ldap-0 nfs-0 slurmctld-0 login-0 cpu-0 cpu-1 cpu-2 gpu-0"),
        ("full", {"cpu": 1, "gpu": 2}, "ldap-0 nfs-0 slurmctld-0 login-0 cpu-0 gpu-0 gpu-1"),
        ("full", {"slurmd": 4}, "ldap-0 nfs-0 slurmctld-0 login-0 cpu-0 cpu-1 cpu-2 gpu-0"),
        ("full", {"slurmd": 2}, "ldap-0 nfs-0 slurmctld-0 login-0 cpu-0 gpu-0"),
        ("multi-node", {"compute": 3}, "slurmctld-0 compute-0 compute-1 compute-2"),
        ("multi-node", {"cpu": 1}, "slurmctld-0 compute-0"),
        ("mini-hpc", {"all": 2}, "ldap-0 nfs-0 slurmctld-0 slurmd-0 slurmd-1"),
        ("mini-hpc", {"cpu": 1}, "ldap-0 nfs-0 slurmctld-0 slurmd-0"),
        ("cpu", {"debug": 2}, "cpu-0 cpu-1"),
    ],
)
def test_so_many_nodes_of_a_group(preset: str, counts: dict[str, int], there: str) -> None:
    assert nodes(sized(preset, groups=counts)) == there


def test_what_came_last_goes_first_and_all_is_as_it_was() -> None:
    for preset, group, count in (("full", "slurmd", 3), ("cpu", "slurmd", 1), ("multi-node", "cpu", 2)):
        before = load(preset)
        more = loads(dump(before), sizes=Sizes(groups={group: count + 2}))
        assert loads(dump(more), sizes=Sizes(groups={group: count})) == before


def test_a_name_means_its_nodes_before_a_partition_that_has_others_as_well() -> None:
    shared = sized("full", "nodes.gpu-0.partitions=[cpu]", "partitions=[{name: cpu}]")
    assert nodes(loads(dump(shared), sizes=Sizes(groups={"cpu": 3}))).endswith("cpu-0 cpu-1 cpu-2 gpu-0")


@pytest.mark.parametrize(
    ("preset", "counts", "words"),
    [
        ("full", {"cpus": 3}, "cpus=3: the definition has no group 'cpus' of nodes that compute; did you mean 'cpu'?"),
        ("full", {"ldap_server": 2}, "of nodes that compute (allowed: cpu, gpu, slurmd)"),
        ("multi-node", {"compute": 0}, "no node has the role slurmd"),
        ("cpu", {"slurmd": 0}, "slurmd=0: cpu-0 cannot go: it has the roles ldap_server, nfs_server, slurmctld, too"),
        ("full", {"cpu": 2000}, "cpu=2000: a lab has 1024 nodes at most"),
    ],
)  # fmt: skip
def test_what_no_group_can_be_is_refused_with_the_word(
    preset: str, counts: dict[str, int], words: str
) -> None:
    assert words in refused(preset, groups=counts)
