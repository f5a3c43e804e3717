"""A bad definition is refused before anything is touched: every mistake, its line, and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from labctl.definition import documented
from labctl.definition.loading import dump, load, loads
from labctl.definition.models import Definition, Node
from labctl.errors import DefinitionError

GOOD = """\
name: small
users:
  - {name: nucci, uid: 10000, groups: [research]}
nodes:
  - name: srv-0
    roles: [ldap_server, nfs_server, slurmctld]
  - name: cpu-[0-1]
    roles: [slurmd]
    partitions: [cpu]
partitions:
  - name: cpu
"""


def mistakes(text: str, *overrides: str) -> list[str]:
    """What labctl says of a definition that it refuses, line by line."""
    with pytest.raises(DefinitionError) as refusal:
        loads(text, name="lab.yml", overrides=overrides)
    return refusal.value.why.splitlines()


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_what_is_left_out_has_a_default() -> None:
    lab = loads(GOOD)
    assert (lab.box, lab.provider, lab.network) == ("debian-12", "auto", "auto")
    assert lab.machines() == (
        Node("srv-0", roles=("ldap_server", "nfs_server", "slurmctld")),
        Node("cpu-0", roles=("slurmd",), partitions=("cpu",)),
        Node("cpu-1", roles=("slurmd",), partitions=("cpu",)),
    )


def test_a_node_gets_the_features_of_its_partitions_too() -> None:
    text = changed("partitions: [cpu]", "partitions: [cpu]\n    features: [fast, big]").replace(
        "- name: cpu\n", "- {name: cpu, features: [avx, fast]}\n"
    )
    assert loads(text).machines()[1].features == ("fast", "big", "avx")


def test_what_is_dumped_loads_as_the_same() -> None:
    text = (
        GOOD
        + 'vars: {a: "yes", b: "1:00:00", c: {d: [null, 1.5, "{{ x }}", "it\'s \\"odd\\"\\n #"]}, e: ""}\n'
    )
    lab = loads(text)
    assert loads(dump(lab)) == lab


def test_every_mistake_is_found_at_once_with_its_line() -> None:
    text = """\
name: Bad
bx: debian-12
users:
  - {name: nucci, uid: 10000}
  - name: bob
    uid: 10000
nodes:
  - {name: ldap-0, roles: [ldap_sever], memory: 100}
  - name: nfs_0
    roles:
      - nfs_server
      - slurmctld
  - name: cpu-[0-1
    roles: [slurmd]
    partitions:
      - cpu
      - gpux
partitions:
  - {name: cpu, default: true}
  - name: gpu
    default: true
"""
    said = mistakes(text)
    where = [line.split(": ")[0].removeprefix("lab.yml:") for line in said]
    assert where == ["1", "2", "6", "8", "8", "9", "13", "17", "20", "21"]
    assert [line.split(": ")[1] for line in said] == [
        "name",
        "bx",
        "users.bob.uid",
        "nodes.ldap-0.roles.0",
        "nodes.ldap-0.memory",
        "nodes.nfs_0.name",
        "nodes.cpu-[0-1.name",
        "nodes.cpu-[0-1.partitions.1",
        "partitions.gpu.name",
        "partitions.gpu.default",
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("name: small", "name: Small Lab", 1, "is not a name for a lab"),
        ("name: small", "name: " + "a" * 32, 1, "31 at most"),
        ("name: small", "nme: small", 1, "did you mean 'name'?"),
        ("name: small", "name: small\nprovider: libvrt", 2, "did you mean 'libvirt'?"),
        ("name: small", "name: small\nservices: {acounting: true}", 2, "did you mean 'accounting'?"),
        ("name: small", "name: small\nservices: [accounting]", 2, "must be a mapping"),
        ("name: small", "name: small\nnetwork: 8.8.8.0/24", 2, "not a private network"),
        ("name: small", "name: small\nnetwork: 10.0.0.1/24", 2, "did you mean 10.0.0.0/24?"),
        ("name: small", "name: small\nnetwork: 10.0.0.0", 2, "did you mean 10.0.0.0/24?"),
        ("name: small", "name: small\nnetwork: home", 2, "neither auto nor an IPv4 network"),
        ("name: small", "name: small\nnetwork: fd00::/64", 2, "neither auto nor an IPv4 network"),
        ("name: small", "name: small\nnetwork: 10.0.0.0/30", 2, "room for 1 nodes, and the lab has 3"),
        ("name: small", "name: small\nvars: {my-var: 1}", 2, "is not an Ansible variable"),
        ("name: small", "name: small\nbox: ../escape", 2, "is not a box"),
        ("uid: 10000", "uid: 500", 3, "at least 1000"),
        ("uid: 10000", "uid: 64030", 3, "at most 59999"),
        ("uid: 10000", 'uid: "10000"', 3, "must be a whole number"),
        ("uid: 10000, ", "", 3, "uid is missing"),
        ("uid: 10000", "uid: 10000, shell: bash", 3, "not an absolute path"),
        ("uid: 10000", 'uid: 10000, gecos: "a:b"', 3, "without colons"),
        ("name: nucci", "name: Nucci", 3, "not a name for an account"),
        ("name: nucci", "name: munge", 3, "of the system itself"),
        ("groups: [research]", "groups: [sudo]", 3, "of the system itself"),
        ("roles: [slurmd]", "roles: [slumrd]", 8, "did you mean 'slurmd'?"),
        ("roles: [slurmd]", "role: [slurmd]", 8, "did you mean 'roles'?"),
        ("roles: [slurmd]", "roles: slurmd", 8, "must be a list"),
        ("roles: [slurmd]", "roles: [slurmd]\n    memory: 255", 9, "at least 256 MiB"),
        ("roles: [slurmd]", "roles: [slurmd]\n    memory: 2G", 9, "must be a whole number"),
        ("roles: [slurmd]", "roles: [slurmd]\n    cpus: 0", 9, "at least 1"),
        ("roles: [slurmd]", "roles: [slurmd]\n    cpus: true", 9, "must be a whole number"),
        ("roles: [slurmd]", "roles: [slurmd]\n    slurm: {RealMemry: 1}", 9, "did you mean 'RealMemory'?"),
        ("roles: [slurmd]", "roles: [slurmd]\n    slurm: {NodeName: x}", 9, "comes from the node's name"),
        ("roles: [slurmd]", "roles: [slurmd]\n    slurm: {cpus: 1, CPUs: 2}", 9, "CPUs is there twice"),
        ("roles: [slurmd]", "roles: [slurmd]\n    slurm: {CPUs: [1]}", 9, "no nested values"),
        ("name: cpu-[0-1]", "name: cpu-[0-1", 7, "is not a hostlist"),
        ("name: cpu-[0-1]", "name: cpu-[1-0]", 7, "is not a hostlist"),
        ("name: cpu-[0-1]", "name: cpu-[0-9999999999]", 7, "is more than 1024 nodes"),
        ("name: cpu-[0-1]", "name: cpu_0", 7, "is not a host name"),
        ("name: cpu-[0-1]", "name: CPU-0", 7, "is not a host name"),
        ("name: cpu-[0-1]", "name: cpu-0.lab", 7, "is not a host name"),
        ("name: cpu-[0-1]", "name: cpu-", 7, "is not a host name"),
        ("name: cpu-[0-1]", f"name: {'c' * 64}", 7, "longer than the 63 characters"),
        ("name: cpu-[0-1]", 'name: ""', 7, "is not a hostlist"),
        ("name: cpu-[0-1]", 'name: "@slurmd"', 7, "is not a hostlist"),
        ("name: cpu-[0-1]", "name: slurmd", 7, "try 'slurmd-0'"),
        ("name: cpu-[0-1]", "name: srv-0", 7, "node 'srv-0' is there twice"),
        ("name: cpu-[0-1]", "name: 17", 7, "must be text"),
        ("partitions: [cpu]", "partitions: [cpu, gpu]", 9, "unknown partition 'gpu'; did you mean 'cpu'?"),
        ("    partitions: [cpu]\n", "", 7, "is in no partition"),
        ("  - name: cpu\n", "  - name: cpu\n  - name: gpu\n", 12, "partition 'gpu' has no node"),
        ("  - name: cpu\n", "  - name: cpu\n  - name: cpu\n", 12, "partition 'cpu' is there twice"),
        ("  - name: cpu\n", "  - {name: cpu, max_time: soon}\n", 11, "is not a time of Slurm's"),
        ("  - name: cpu\n", "  - {name: cpu, options: {MaxNode: 1}}\n", 11, "did you mean 'MaxNodes'?"),
        ("  - name: cpu\n", "  - {name: cpu, options: {nodes: a}}\n", 11, "comes from the partitions of"),
        ("  - name: cpu\n", "  - {name: cpu, max_time: 1, options: {maxtime: 2}}\n", 11, "keep one"),
        ("slurmctld]", "slurmctld]\n    gpu_types: {t4: 2}", 7, "2 GPUs have a type here, and the node has 0"),
        ("slurmctld]", "slurmctld]\n    gpus: 1", 7, "only a node with the role slurmd can have gpus"),
        ("slurmctld]", "slurmctld]\n    partitions: [cpu]", 7, "only a node with the role slurmd"),
        ("slurmctld]", "slurmctld, nfs_servr]", 6, "did you mean 'nfs_server'?"),
        (", slurmctld]", "]", 4, "no node has the role slurmctld"),
        ("[ldap_server, ", "[", 4, "no node has the role ldap_server"),
        ("nfs_server, ", "", 4, "no node has the role nfs_server"),
        ("roles: [slurmd]", "roles: [slurmd, slurmctld]", 8, "cpu-0 is a second slurmctld; srv-0 is one"),
        ("srv-0", "srv-[0-1]", 6, "srv-1 is a second ldap_server"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(old: str, new: str, line: int, words: str) -> None:
    said = mistakes(changed(old, new))
    assert any(each.startswith(f"lab.yml:{line}: ") and words in each for each in said), said


def test_a_lab_needs_nodes_that_compute_and_a_user() -> None:
    said = "\n".join(
        mistakes("name: x\nnodes:\n  - {name: a, roles: [ldap_server, nfs_server, slurmctld]}\n")
    )
    assert "no node has the role slurmd" in said
    assert "a lab needs a user" in said


def test_a_wrong_role_is_not_also_called_a_missing_one() -> None:
    said = mistakes(changed("slurmctld]", "slurmcld]"))
    assert len(said) == 1, said


def test_two_defaults_are_one_too_many() -> None:
    text = GOOD.replace("[cpu]", "[cpu, gpu]").replace(
        "  - name: cpu\n", "  - {name: cpu, default: yes}\n  - name: gpu\n    default: true\n"
    )
    (said,) = mistakes(text)
    assert said.startswith("lab.yml:13: partitions.gpu.default: 'gpu' is a second default partition")


def test_without_a_marked_default_jobs_go_to_the_first_partition() -> None:
    assert loads(GOOD).default_partition() == "cpu"
    two = GOOD.replace("[cpu]", "[gpu, cpu]").replace(
        "  - name: cpu\n", "  - name: gpu\n  - {name: cpu, default: true}\n"
    )
    assert loads(two).default_partition() == "cpu"


def test_partitions_that_would_be_one_inventory_group_are_refused() -> None:
    text = GOOD.replace("[cpu]", "[a-b, a_b]").replace("  - name: cpu\n", "  - name: a-b\n  - name: a_b\n")
    assert len(mistakes(text)) == 2


@pytest.mark.parametrize("time", ["30", '"1:00:00"', "1:00:00", "2-0", "1-12:30:00", "UNLIMITED"])
def test_times_are_slurms(time: str) -> None:
    lab = loads(changed("- name: cpu\n", f"- {{name: cpu, max_time: {time}}}\n"))
    assert lab.partitions[0].max_time == time.strip('"')


def test_a_definition_made_in_code_is_checked_as_well() -> None:
    with pytest.raises(ValidationError, match="no node has the role slurmd"):
        Definition(name="x", nodes=[])


def test_the_schema_describes_every_key() -> None:
    schema = documented.schema(Definition)
    for model in (schema, *schema["$defs"].values()):
        assert all("description" in field for field in model["properties"].values())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="there is no file"):
        load(str(tmp_path / "lab.yml"))


def test_a_directory_is_no_definition(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="is a directory"):
        load(str(tmp_path))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "my lab.yml"
    path.write_text("\ufeff" + GOOD, encoding="utf-8")
    assert load(str(path)).name == "small"


def test_text_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "lab.yml"
    path.write_bytes(GOOD.encode() + "# ä\n".encode("latin-1"))
    with pytest.raises(DefinitionError, match=r"lab\.yml:12: not UTF-8: byte 0xe4"):
        load(str(path))


def test_a_device_is_not_read_to_its_end() -> None:
    with pytest.raises(DefinitionError, match="more than 250000 bytes"):
        load("/dev/zero")
