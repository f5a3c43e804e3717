"""The suite reads the topology from an inventory alone, whatever cluster it is of."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from clusterfacts.account import Account
from clusterfacts.connection import NodeError
from clusterfacts.gpus import gpu_job
from clusterfacts.inventory import unmarked
from clusterfacts.shared import shared, writers
from clusterfacts.topology import Limit, Topology, minutes

NUCCI = {"name": "nucci", "uid": 10000, "gid": 10000, "home": "/home/nucci", "shell": "/bin/bash"}
MOUNTS = [
    {"path": "/home", "source": "nfs-0:/home", "options": "rw,hard"},
    {"path": "/work", "source": "nfs-0:/data"},
    {"path": "/srv", "source": "nfs-0:/srv", "options": "ro"},
]


def lab(**changes: dict[str, Any]) -> Topology:
    """A lab of five nodes; changes are variables of a node, with its dash as an underscore."""
    hostvars: dict[str, dict[str, Any]] = {
        "ldap-0": {
            "ldap_server_users": [NUCCI, {"name": "ada", "uid": 10001}],
            "ldap_server_groups": [{"name": "research", "gid": 10100, "members": ["nucci"]}],
        },
        "nfs-0": {
            "nfs_server_exports": [
                {"path": "/home", "clients": ["10.1.2.0/24"]},
                {"path": "/data", "clients": ["10.1.2.0/24", "login.example.org"]},
                {"path": "/srv", "clients": ["10.1.2.0/24"]},
            ],
            "nfs_server_directories": [
                {"path": "/data/nucci", "owner": "nucci"},
                {"path": "/srv/x", "owner": "nucci"},
            ],
        },
        "ctl-0": {
            "nfs_client_mounts": MOUNTS,
            "slurm_common_partitions": [
                {"name": "cpu", "group": "partition_cpu", "options": {"Default": "YES"}},
                {"name": "gpu", "nodes": ["gpu-0"], "options": {}},
            ],
        },
        "cpu-0": {"nfs_client_mounts": MOUNTS},
        "gpu-0": {
            "nfs_client_mounts": MOUNTS,
            "slurm_common_node": {"Gres": "gpu:fake:4"},
            "slurm_common_fake_gpus": 4,
        },
    }
    for node, variables in changes.items():
        hostvars[node.replace("_", "-")].update(variables)
    nodes = list(hostvars)
    return Topology.parse(
        {
            "_meta": {"hostvars": hostvars},
            "all": {
                "children": [
                    "ungrouped",
                    "ldap_server",
                    "nfs_server",
                    "slurm_common",
                    "ldap_client",
                    "nfs_client",
                ]
            },
            "ldap_server": {"hosts": ["ldap-0"]},
            "nfs_server": {"hosts": ["nfs-0"]},
            "slurm_common": {"children": ["slurmctld", "slurmd"]},
            "slurmctld": {"hosts": ["ctl-0"]},
            "slurmd": {"children": ["partition_cpu"], "hosts": ["gpu-0"]},
            "partition_cpu": {"hosts": ["cpu-0"]},
            "ldap_client": {"hosts": nodes},
            "nfs_client": {"hosts": ["ctl-0", "cpu-0", "gpu-0"]},
        }
    )


def test_groups_have_the_hosts_of_their_children() -> None:
    assert lab().nodes("slurm_common") == ("ctl-0", "gpu-0", "cpu-0")
    assert lab().nodes("ldap_client", but="ldap_server") == ("nfs-0", "ctl-0", "cpu-0", "gpu-0")
    assert lab().nodes("login") == ()


def test_every_host_is_in_all_once() -> None:
    assert sorted(lab().nodes()) == ["cpu-0", "ctl-0", "gpu-0", "ldap-0", "nfs-0"]


def test_users_get_what_the_role_would_give_them() -> None:
    nucci, ada = lab().users
    assert (nucci.uid, nucci.home) == (10000, "/home/nucci")
    assert (ada.gid, ada.home, ada.shell) == (10001, "/home/ada", "/bin/bash")


def test_users_are_in_their_own_group_and_those_that_name_them() -> None:
    assert lab().memberships == {"nucci": {10000, 10100}, "ada": {10001}}


def test_the_suite_works_as_the_user_that_the_inventory_names() -> None:
    assert lab().user == lab().users[0]
    assert lab(ctl_0={"verify_user": "ada"}).user == lab().users[1]


def test_partitions_take_a_group_or_a_list() -> None:
    cpu, gpu = lab().partitions
    assert (cpu.nodes, cpu.default) == (("cpu-0",), True)
    assert (gpu.nodes, gpu.default) == (("gpu-0",), False)
    assert lab().default_partition == cpu


def test_a_partition_of_nothing_named_has_all_compute_nodes() -> None:
    (partition,) = lab(ctl_0={"slurm_common_partitions": [{"name": "all"}]}).partitions
    assert set(partition.nodes) == {"cpu-0", "gpu-0"}


def test_the_server_mounts_nothing() -> None:
    assert lab(nfs_0={"nfs_client_mounts": MOUNTS}).mounts("nfs-0") == ()
    home, work, srv = lab().mounts("cpu-0")
    assert (home.server, home.export, home.read_only) == ("nfs-0", "/home", False)
    assert (work.path, work.export) == ("/work", "/data")
    assert srv.read_only


def test_networks_of_an_export_are_the_addresses_among_its_clients() -> None:
    assert lab().exports[1].networks == (ip_network("10.1.2.0/24"),)


def test_shared_directories_are_where_the_user_may_write() -> None:
    assert shared(lab(), "nfs-0") == {"/home": "/home/nucci", "/data": "/data/nucci", "/srv": "/srv/x"}
    assert shared(lab(), "cpu-0") == {"/home": "/home/nucci", "/data": "/work/nucci"}
    assert shared(lab(), "ldap-0") == {}
    assert set(writers(lab())) == {"nfs-0", "ctl-0", "cpu-0", "gpu-0"}


@pytest.mark.parametrize(
    ("gres", "count"),
    [
        ("", 0),
        ("(null)", 0),
        ("gpu", 1),
        ("gpu:2", 2),
        ("gpu:fake:4", 4),
        ("gpu:fake:4(S:0-1)", 4),
        ("gpu:a100:2,gpu:v100:1,license:7", 3),
        ("gpu_mem:8", 0),
        ("shard:4", 0),
    ],
)
def test_gpus_are_counted(gres: str, count: int) -> None:
    assert Topology.count_gpus(gres) == count


def test_the_gpu_job_leaves_gpus_that_it_must_not_see() -> None:
    job = gpu_job(lab())
    assert job is not None
    assert (job.node, job.partition, job.count, job.asked) == ("gpu-0", "gpu", 4, 2)
    assert job.devices == ("/dev/fakegpu0", "/dev/fakegpu1", "/dev/fakegpu2", "/dev/fakegpu3")


def test_real_gpus_are_named_by_gres_conf() -> None:
    gres = [{"Name": "gpu", "Type": "a100", "File": "/dev/nvidia[0-1]"}, {"Name": "other", "File": "/dev/x"}]
    job = gpu_job(lab(gpu_0={"slurm_common_gres": gres, "slurm_common_fake_gpus": 0}))
    assert job is not None
    assert not job.fake
    assert job.devices == ("/dev/nvidia0", "/dev/nvidia1")


def test_no_gpu_no_job() -> None:
    assert gpu_job(lab(gpu_0={"slurm_common_node": {}, "slurm_common_fake_gpus": 0})) is None


def test_the_password_is_in_the_inventory_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFY_PASSWORD", "of-the-environment")
    assert Account.of(lab()).password == "of-the-environment"
    assert Account.of(lab(ctl_0={"verify_password": "s3cret"})).password == "s3cret"
    encrypted = {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256"}
    assert Account.of(lab(ctl_0={"verify_password": encrypted})).password == "of-the-environment"


def test_the_password_is_not_shown() -> None:
    topology = lab(ctl_0={"verify_password": "s3cret"})
    assert "s3cret" not in repr(Account.of(topology))
    assert "s3cret" not in repr(topology)


def test_binds_are_tried_from_a_client() -> None:
    assert Account.of(lab()).client == "nfs-0"


def test_no_user_is_said() -> None:
    with pytest.raises(NodeError, match="verify_user"):
        Account.of(lab(ldap_0={"ldap_server_users": []}))


def test_unsafe_strings_are_strings() -> None:
    marked = {"a": [{"__ansible_unsafe": "pass{{word"}], "b": {"c": 1}}
    assert unmarked(marked) == {"a": ["pass{{word"], "b": {"c": 1}}


@pytest.mark.parametrize(
    ("time", "expected"), [("90", 90), ("10:30", 10.5), ("1:30:00", 90), ("1-12", 2160), ("1-0:30", 1470)]
)
def test_times_are_slurms(time: str, expected: float) -> None:
    assert minutes(time) == expected


def test_the_limit_to_try_is_one_that_refuses_jobs() -> None:
    def limit(*qos: dict[str, object]) -> Limit | None:
        return Topology({"slurmdbd": ("d",)}, {"d": {"slurmdbd_qos": list(qos)}}).limit

    assert limit({"name": "a"}, {"name": "b", "options": {"MaxWall": "1:00"}}) is None
    assert limit({"name": "a", "options": {"MaxSubmitJobsPerUser": 5000}}) is None
    denies = {"MaxWall": "0:30:00", "Flags": ["DenyOnLimit"]}
    assert limit({"name": "a", "options": denies}) == Limit("a", None, "31")
    assert limit({"name": "a", "options": {"MaxSubmitJobsPerUser": 2}}) == Limit("a", 2, "")


def test_users_log_in_on_login_nodes_and_on_compute_nodes_that_are_not_for_jobs_alone() -> None:
    def cluster(**groups: tuple[str, ...]) -> Topology:
        return Topology(
            {"slurmd": ("cpu-0", "cpu-1"), **groups}, {"cpu-0": {"slurmd_pam_adopt": True}, "cpu-1": {}}
        )

    assert cluster().closed == ("cpu-0",)
    assert cluster().entrance == "cpu-1"
    assert cluster(login=("login-0",)).entrance == "login-0"
    assert cluster(slurmd=("cpu-0",)).entrance is None


def test_a_login_node_makes_keys_where_the_inventory_says_so() -> None:
    def maker(*, on: bool) -> str | None:
        return Topology({"login": ("login-0",)}, {"login-0": {"login_user_keys": on}}).key_maker

    assert (maker(on=True), maker(on=False)) == ("login-0", None)
