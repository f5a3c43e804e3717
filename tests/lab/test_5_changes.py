"""A running lab becomes another one: what changed changes, and jobs on nodes that stay go on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import User, World
from ruamel.yaml import YAML

LAB = "multi-node"
JOBS_RUN = 10  # labctl's exit code where jobs keep nodes from going


class Lab:
    """The lab, and the definition that it is changed by."""

    def __init__(self, user: User) -> None:
        self.user = user
        self._file = user.home / "changed.yml"

    def change(self, edit: Callable[[dict[str, Any]], object]) -> None:
        """Write down what the lab shall become, beside what it is."""
        definition = YAML(typ="safe").load(self.user.home / ".labctl" / LAB / "lab.yml")
        edit(definition)
        YAML().dump(definition, self._file)

    def up(self, *options: str) -> Any:
        return self.user("up", str(self._file), *options)

    def on(self, node: str, command: str) -> str:
        return self.user.ok("ssh", "--name", LAB, node, "--", command).out.strip()

    def slurm(self, command: str) -> str:
        return self.on("slurmctld-0", command)

    def begins(self, where: str) -> str:
        """The id of a job that runs where sbatch's option says, and goes on until somebody ends it."""
        job = self.slurm(f"cd /tmp && sbatch --parsable {where} --output=/dev/null --wrap='sleep 3600'")
        asked = f"for i in $(seq 60); do squeue -h -j {job} -o %T | grep -qx RUNNING && break; sleep 1; done"
        self.slurm(f"{asked}; squeue -h -j {job} -o %T | grep -x RUNNING")
        return job

    def job(self, number: str) -> str:
        return self.slurm(f"squeue -h -j {number} -o '%T %N %r'")


@pytest.fixture(scope="module")
def lab(user: User) -> Iterator[Lab]:
    said = user.ok("up", LAB)
    assert "verified:" in said.out
    yield Lab(user)
    user("destroy", LAB)


@pytest.fixture(scope="module")
def job(lab: Lab) -> str:
    """A job on a node that stays, from before the first change."""
    return lab.begins("--nodelist=compute-0")


def test_a_lab_that_was_suspended_goes_on_with_its_jobs(lab: Lab, job: str) -> None:
    user = lab.user
    user.ok("suspend", LAB, "--nodes", "compute-1")
    assert user.ok("status", LAB, "--json").json()["state"] == "partial"
    assert lab.job(job) == "RUNNING compute-0 None"
    user.ok("suspend", LAB)
    assert user.ok("status", LAB, "--json").json()["state"] == "suspended"
    refused = user("ssh", "--name", LAB, "compute-0", "--", "true")
    assert refused.code == 1
    assert f"labctl resume {LAB}" in refused.err
    user.ok("resume", LAB)
    assert user.ok("status", LAB, "--json").json()["problems"] == []
    assert lab.job(job) == "RUNNING compute-0 None"
    assert lab.slurm("srun -w compute-1 hostname") == "compute-1"


def _grow(definition: dict[str, Any]) -> None:
    compute = definition["nodes"][-1]
    large = {**compute, "name": "compute-1", "memory": 1280}
    definition["nodes"] = [definition["nodes"][0], {**compute, "name": "compute-[0,2]"}, large]
    definition["users"].append({"name": "ada", "uid": 10815})
    definition["partitions"].append({"name": "long", "max_time": "2-00:00:00"})
    for node in definition["nodes"][1:]:
        node["partitions"] = ["cpu", "long"]


def test_nodes_users_and_partitions_are_added_and_a_size_changed_while_a_job_runs(lab: Lab, job: str) -> None:
    lab.change(_grow)
    planned = {(one["kind"], one["node"]): one["impact"] for one in lab.up("--dry-run", "--json").json()}
    assert planned["drain", "compute-1"] == "live"
    assert planned["resize", "compute-1"] == "restart"
    assert planned["create", "compute-2"] == "live"
    assert not {kind for kind, node in planned if node == "compute-0"}
    said = lab.up("--no-verify")
    assert said.code == 0, said.all
    assert lab.job(job) == "RUNNING compute-0 None"
    memory = dict(line.split() for line in lab.slurm("sinfo -h -N -p long -o '%N %m'").splitlines())
    assert memory.keys() == {"compute-0", "compute-1", "compute-2"}
    assert int(memory["compute-1"]) > int(memory["compute-0"]) + 200
    assert lab.slurm("srun -p long -w compute-1,compute-2 -N 2 hostname | sort") == "compute-1\ncompute-2"
    assert lab.on("compute-2", "id -u ada") == "10815"


def test_a_node_with_a_job_does_not_go_unless_by_force(lab: Lab, job: str) -> None:
    second = lab.begins("--exclude=compute-[0-1]")
    address = re.escape(lab.slurm("getent hosts compute-2").split()[0]) + r"\b"
    less = ("scale", "--name", LAB, "slurmd=1", "--no-verify")
    refused = lab.user(*less)
    assert refused.code == JOBS_RUN
    assert f"job {second}: " in refused.err
    assert lab.job(second) == "RUNNING compute-2 None"
    # A star is for a node that has not answered the controller's last question yet.
    assert lab.slurm("sinfo -h -n compute-2 -p cpu -o %T").rstrip("*") == "mixed"
    lab.user.ok(*less, "--force")
    assert lab.job(second).startswith("PENDING")
    assert lab.job(job) == "RUNNING compute-0 None"
    told = "scontrol show nodes; cat /etc/slurm/slurm.conf /etc/hosts /etc/exports.d/*; slapcat -n 0"
    assert not re.search(f"compute-[12]|{address}", lab.slurm(told))
    assert not [name for name in World.now().domains if name.endswith(("compute-1", "compute-2"))]
    assert "compute-2" not in [
        node["name"] for node in lab.user.ok("status", "--name", LAB, "--json").json()["nodes"]
    ]
    lab.slurm(f"scancel {second}")


BY_HAND = """ldapadd -Q -Y EXTERNAL -H ldapi:/// <<END
dn: uid=eve,ou=People,dc=multi-node,dc=lab
objectClass: inetOrgPerson
objectClass: posixAccount
cn: eve
sn: eve
uid: eve
uidNumber: 10816
gidNumber: 10816
homeDirectory: /home/eve
END"""
OURS = """- hosts: all
  become: true
  tasks:
    - name: Bring what is ours
      ansible.builtin.copy: {content: "for {{ inventory_hostname }}", dest: /etc/ours, mode: "0644"}
"""


def test_a_partition_and_a_variable_change_and_another_goes_with_a_user_and_the_lab_is_proven(
    lab: Lab, job: str
) -> None:
    lab.slurm(BY_HAND)
    for node in ("slurmctld-0", "compute-0"):
        assert lab.on(node, "id -u ada; id -u eve") == "10815\n10816"

    def without(definition: dict[str, Any]) -> None:
        definition["users"].pop()
        (kept,) = (one for one in definition["partitions"] if one["name"] != "long")
        definition["partitions"] = [{**kept, "max_time": "0:30:00"}]
        for node in definition["nodes"][1:]:
            node["partitions"] = ["cpu"]
        definition["vars"] = {"slurm_common_config": {"MaxArraySize": 500}}
        definition["playbooks"] = ["ours.yml"]

    (lab.user.home / "ours.yml").write_text(OURS)
    lab.change(without)
    planned = {one["kind"]: one for one in lab.up("--dry-run", "--json").json()}
    assert planned["forget"]["impact"] == "live"
    assert "user ada" in planned["forget"]["reason"]
    said = lab.up("--no-verify")
    assert said.code == 0, said.all
    for node in ("slurmctld-0", "compute-0"):
        assert lab.on(node, "id ada || id -u eve; cat /etc/ours") == f"10816\nfor {node}"
    assert lab.user.ok("converge", "--name", LAB, "--json").json()["changed"] == 0
    found = lab.user.ok("converge", "--name", LAB, "--check", "--json").json()
    assert found["changed_tasks"] == []
    assert found["ok"] > 50
    assert lab.slurm("sinfo -h -o '%R %l' | sort -u") == "cpu 30:00"
    assert lab.slurm("scontrol show config | grep ^MaxArraySize").split() == ["MaxArraySize", "=", "500"]
    assert lab.job(job) == "RUNNING compute-0 None"
    lab.slurm(f"scancel {job}")
    assert "verified:" in lab.user.ok("up", "--name", LAB).out
