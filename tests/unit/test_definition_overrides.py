"""`--set path=value` changes a definition as an editor would, and is checked like a file."""

from __future__ import annotations

import pytest

from labctl.definition.loading import dump, load, loads
from labctl.errors import DefinitionError


def sizes(*overrides: str) -> dict[str, int]:
    return {node.name: node.memory for node in load("full", overrides=overrides).machines()}


def refused(*overrides: str) -> str:
    with pytest.raises(DefinitionError) as refusal:
        load("full", overrides=overrides)
    return refusal.value.why


def test_a_key_of_the_lab() -> None:
    lab = load("full", overrides=["name=other", "network=10.9.8.0/24"])
    assert (lab.name, lab.network) == ("other", "10.9.8.0/24")


def test_an_entry_by_its_hostlist() -> None:
    assert sizes("nodes.cpu-[0-1].memory=2048") == sizes() | {"cpu-0": 2048, "cpu-1": 2048}


def test_one_node_of_an_entry_leaves_the_others_and_the_order_alone() -> None:
    changed = sizes("nodes.cpu-1.memory=2048")
    assert changed == sizes() | {"cpu-1": 2048}
    assert list(changed) == list(sizes())


def test_a_node_in_the_middle() -> None:
    changed = sizes("nodes.cpu-[0-1].name=cpu-[0-4]", "nodes.cpu-2.memory=512", "nodes.cpu-[1-3].cpus=1")
    assert {name: memory for name, memory in changed.items() if name.startswith("cpu")} == {
        "cpu-0": 1024, "cpu-1": 1024, "cpu-2": 512, "cpu-3": 1024, "cpu-4": 1024,
    }  # fmt: skip


def test_nodes_by_role_and_all_nodes() -> None:
    assert sizes("nodes.@slurmd.memory=999")["gpu-0"] == 999
    assert sizes("nodes.@gpu.memory=998")["gpu-0"] == 998
    assert set(sizes("nodes.all.memory=300").values()) == {300}


def test_what_is_not_there_yet() -> None:
    lab = load("full", overrides=["vars.slurm_common_config.MinJobAge=3600", "nodes.gpu-0.slurm.Weight=5"])
    assert lab.vars == {"slurm_common_config": {"MinJobAge": 3600}}
    assert lab.machines()[-1].slurm == {"Weight": 5}


def test_values_are_yaml_and_templates_are_text() -> None:
    lab = load("full", overrides=["vars.a=[1, two]", "vars.b={{ a }}", "vars.c=x=y", "vars.d="])
    assert lab.vars == {"a": [1, "two"], "b": "{{ a }}", "c": "x=y", "d": None}
    assert loads(dump(lab)) == lab


def test_other_lists_by_name() -> None:
    lab = load("full", overrides=["users.nucci.uid=20000", "partitions.gpu.max_time=5"])
    assert (lab.users[0].uid, lab.partitions[1].max_time) == (20000, "5")


def test_later_ones_win() -> None:
    assert sizes("nodes.gpu-0.memory=512", "nodes.gpu-0.memory=1000")["gpu-0"] == 1000


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("nodes.cpu-[0-1].memory", "not of the form path=value"),
        ("=3", "not of the form path=value"),
        ("nodes..memory=3", "not of the form path=value"),
        ("nodes.cpu-9.memory=512", "nodes has no 'cpu-9'; did you mean 'cpu-"),
        ("nodes.cpu-[0.memory=512", "is not a hostlist"),
        ("nodes.@nobody.memory=512", "nodes has no '@nobody'"),
        ("nodes.@slurd.memory=512", "nodes has no '@slurd'; did you mean '@slurmd'?"),
        ("nodes.al.memory=512", "nodes has no 'al'; did you mean 'all'?"),
        ("nodes.cpu-0.memry=512", "unknown key 'memry'; did you mean 'memory'?"),
        ("nodes.cpu-0.memory=100", "at least 256 MiB"),
        ("nodes.cpu-0=512", "is a list"),
        ("nodes=512", "is a list"),
        ("users.nuci.uid=512", "users has no 'nuci'; did you mean 'nucci'?"),
        ("groups.g.gid=512", "groups has no 'g'"),
        ("nam=x", "unknown key 'nam'; did you mean 'name'?"),
        ("name.x=1", "name is 'full' and has no keys"),
        ("vars.x=[", "parsing"),
        ("partitions.gpu.default=true", "second default partition"),
    ],
)
def test_a_mistake_names_the_override(override: str, words: str) -> None:
    said = refused(override)
    assert said.startswith(f"--set {override}: ")
    assert words in said


def test_mistakes_of_the_file_and_of_overrides_come_together() -> None:
    with pytest.raises(DefinitionError) as refusal:
        loads("name: X\nnodes: []\n", name="lab.yml", overrides=["bx=1", "nope"])
    said = refusal.value.why
    assert "lab.yml:1: name" in said
    assert "--set bx=1: " in said
    assert "--set nope: " in said
