"""A change of Slurm's files restarts only what its key needs, by the manual of Slurm 22.05."""

from __future__ import annotations

import pytest
from roles_files import ROOT, module, read

slurm = module(ROOT / "roles/slurm_common/library/slurm_actions.py")
RESTARTS = read(ROOT / "roles/slurm_common/vars/main.yml")["__slurm_common_restarts"]
BEFORE = """\
# Ansible managed
ClusterName=one
MaxJobCount=10000
KillWait=30
NodeName=cpu-0 CPUs=2
PartitionName=cpu Nodes=cpu-0
"""


def written(after: str, name: str = "slurm.conf", before: str = BEFORE) -> dict[str, str]:
    """A file that changed, as written_files has it in its diff."""
    header = f"/etc/slurm/{name}"
    return {"before_header": header, "before": before, "after_header": header, "after": after}


def actions(*changes: dict[str, str]) -> tuple[str, str]:
    found = slurm.actions(changes, RESTARTS)
    return found.get("slurmctld", "-"), found.get("slurmd", "-")


@pytest.mark.parametrize(
    ("old", "new", "slurmctld", "slurmd"),
    [
        ("KillWait=30", "KillWait=60", "reloaded", "reloaded"),
        ("PartitionName=cpu", "PartitionName=all", "restarted", "reloaded"),
        ("MaxJobCount=10000", "MaxJobCount=20000", "restarted", "reloaded"),
        ("MaxJobCount=10000", "maxjobcount=20000", "restarted", "reloaded"),
        ("CPUs=2", "CPUs=4", "restarted", "restarted"),
        ("ClusterName=one", "ClusterName=two", "restarted", "restarted"),
        ("# Ansible managed", "# Managed by Ansible", "reloaded", "reloaded"),
        ("KillWait=30\n", "", "reloaded", "reloaded"),
    ],
)
def test_a_change_restarts_what_its_key_needs(old: str, new: str, slurmctld: str, slurmd: str) -> None:
    assert actions(written(BEFORE.replace(old, new))) == (slurmctld, slurmd)


def test_the_strongest_need_wins() -> None:
    after = BEFORE.replace("KillWait=30", "KillWait=60").replace("MaxJobCount=10000", "MaxJobCount=1")
    assert actions(written(after), written("x", "cgroup.conf")) == ("restarted", "reloaded")


def test_nothing_changed_asks_for_nothing() -> None:
    assert actions() == ("-", "-")


def test_a_file_that_only_changed_its_mode_is_read_again() -> None:
    assert actions(written(BEFORE)) == ("reloaded", "reloaded")


def test_cgroup_conf_concerns_the_node_daemon_alone() -> None:
    assert actions(written("ConstrainCores=no", "cgroup.conf")) == ("-", "reloaded")


def test_gres_conf_restarts_both() -> None:
    assert actions(written("Name=gpu", "gres.conf")) == ("restarted", "restarted")


def test_a_first_file_restarts_both() -> None:
    assert actions(written(BEFORE, before="")) == ("restarted", "restarted")


@pytest.mark.parametrize(
    "key", ["NodeName", "SelectType", "SlurmctldPort", "GresTypes", "AuthType", "StateSaveLocation"]
)
def test_the_table_has_what_the_manual_demands(key: str) -> None:
    assert "slurmctld" in RESTARTS[key]


def test_the_table_names_daemons_that_exist() -> None:
    assert {daemon for daemons in RESTARTS.values() for daemon in daemons} == {"slurmctld", "slurmd"}
