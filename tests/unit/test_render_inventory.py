"""The inventory says in the roles' words what the definition says; secrets stay where secrets are."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from render_layouts import BAKED, KEY, PEM, PUBLIC, a_layout, secrets

from labctl.definition.accounts import Account
from labctl.definition.loading import load, loads
from labctl.definition.models import Definition
from labctl.render.inventory import HOSTS, MAIN, SECRET_FILES, SECRETS, inventory
from labctl.render.layout import BoxImage, Layout, Network
from labctl.render.variables import needless
from labctl.resources import resource


def files(layout: Layout) -> dict[str, Any]:
    """The inventory as a reader of YAML 1.1, such as Ansible, sees it."""
    texts = inventory(layout, secrets(layout.definition))
    return {path: yaml.safe_load(text) for path, text in texts.items()}


def main(layout: Layout) -> dict[str, Any]:
    found: dict[str, Any] = files(layout)[MAIN]
    return found


def groups(layout: Layout) -> dict[str, list[str]]:
    children = files(layout)[HOSTS]["all"]["children"]
    return {group: list(content["hosts"]) for group, content in children.items()}


def with_vars(preset: str = "full", **variables: Any) -> Layout:
    return a_layout(Definition.model_validate(load(preset).model_dump() | {"vars": variables}))


def through_ansible(layout: Layout, folder: Path) -> Any:
    """What Ansible itself makes of the files."""
    for path, text in inventory(layout, secrets(layout.definition)).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    command = [Path(sys.executable).with_name("ansible-inventory"), "-i", folder / "inventory", "--list"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "WARNING" not in result.stderr
    return json.loads(result.stdout)


def test_groups_are_the_roles_and_the_partitions() -> None:
    every = ["ldap-0", "nfs-0", "slurmctld-0", "login-0", "cpu-0", "cpu-1", "gpu-0"]
    assert groups(a_layout()) == {
        "ldap_server": ["ldap-0"],
        "ldap_client": every,
        "nfs_server": ["nfs-0"],
        "nfs_client": [name for name in every if name != "nfs-0"],
        "munge": every[2:],
        "mariadb": ["slurmctld-0"],
        "mpi": every[3:],
        "slurm_common": every[2:],
        "slurmdbd": ["slurmctld-0"],
        "slurmctld": ["slurmctld-0"],
        "containers": every[2:],
        "slurmd": every[4:],
        "slurmrestd": ["slurmctld-0"],
        "registry": ["slurmctld-0"],
        "login": ["login-0"],
        "jupyterlab": every[3:],
        "jupyterhub": ["login-0"],
        "partition_cpu": ["cpu-0", "cpu-1"],
        "partition_gpu": ["gpu-0"],
    }


def test_a_group_without_hosts_is_there_all_the_same() -> None:
    assert groups(a_layout("cpu"))["nfs_client"] == []


def test_a_partitions_group_has_no_hyphen() -> None:
    text = """
name: x
users: [{name: ann, uid: 10000}]
nodes: [{name: n-0, roles: [ldap_server, nfs_server, slurmctld, slurmd], partitions: [big-mem]}]
partitions: [{name: big-mem}]
"""
    layout = a_layout(loads(text))
    assert groups(layout)["partition_big_mem"] == ["n-0"]
    assert main(layout)["slurm_common_partitions"] == [
        {"name": "big-mem", "group": "partition_big_mem", "options": {"Default": "YES"}}
    ]


def test_who_leaves_is_named_with_whom_the_user_names_as_ansible_reads_it(tmp_path: Path) -> None:
    layout = with_vars(ldap_server_absent_users=["eve"])
    removed = frozenset({Account("user", "ada"), Account("group", "ada")})
    ada = through_ansible(replace(layout, removed=removed), tmp_path / "ada")["_meta"]["hostvars"]["cpu-0"]
    assert ada["ldap_server_absent_users"] == ["eve", "ada"]
    assert ada["ldap_client_absent_users"] == ada["ldap_client_absent_groups"] == ["ada"]
    nobody = through_ansible(layout, tmp_path / "nobody")["_meta"]["hostvars"]["cpu-0"]
    assert nobody["ldap_server_absent_users"] == ["eve"]
    assert "ldap_client_absent_users" not in nobody


def test_hosts_are_reached_over_the_labs_ssh_configuration() -> None:
    layout = a_layout(directory=Path("/srv/a lab's/full"))
    found = files(layout)[HOSTS]["all"]
    assert found["hosts"]["cpu-0"] == {"ansible_host": "10.20.30.14"}
    assert shlex.split(found["vars"]["ansible_ssh_common_args"]) == ["-F", "/srv/a lab's/full/ssh_config"]
    assert (found["vars"]["ansible_user"], found["vars"]["ansible_become"]) == ("root", False)
    public = files(a_layout(box=PUBLIC))[HOSTS]["all"]["vars"]
    assert (public["ansible_user"], public["ansible_become"]) == ("vagrant", True)


def test_roles_install_only_what_the_box_does_not_carry() -> None:
    baked = {key: value for key, value in main(a_layout("mini-hpc")).items() if key.endswith("_install")}
    assert sorted(baked) == sorted(
        f"{role}_install"
        for role in (
            "common", "ldap_server", "ldap_client", "nfs_server", "nfs_client",
            "munge", "slurm_common", "slurmctld", "slurmd",
        )
    )  # fmt: skip
    full = {key: value for key, value in main(a_layout()).items() if key.endswith("_install")}
    services = (
        "mariadb",
        "slurmdbd",
        "slurmrestd",
        "registry",
        "containers",
        "login",
        "mpi",
        "jupyterlab",
        "jupyterhub",
    )
    assert full.keys() - baked.keys() == {f"{role}_install" for role in services}
    assert set(full.values()) == set(baked.values()) == {False}
    assert not any(key.endswith("_install") for key in main(a_layout(box=PUBLIC)))


def test_a_box_without_a_kernel_line_is_told_its_name_by_the_role() -> None:
    assert main(a_layout())["common_hostname"] is False
    assert main(a_layout(box=PUBLIC))["common_hostname"] is True


def test_the_directory_has_users_groups_and_tls() -> None:
    found = main(a_layout())
    assert found["ldap_server_suffix"] == found["ldap_client_base"] == "dc=full,dc=lab"
    assert found["ldap_client_uris"] == ["ldap://ldap-0"]
    assert found["ldap_server_groups"] == [
        {"name": "nucci", "gid": 10000, "members": []},
        {"name": "research", "gid": 10100, "members": ["nucci"]},
    ]
    (user,) = found["ldap_server_users"]
    assert (user["uid"], user["gid"], user["home"], user["shell"]) == (
        10000,
        10000,
        "/home/nucci",
        "/bin/bash",
    )
    assert user["ssh_keys"][0].startswith(KEY)
    assert found["ldap_server_tls_ca"] == found["ldap_client_tls_ca"] == PEM


def test_exports_are_for_the_labs_network_only_and_without_a_clients_root() -> None:
    other = IPv4Network("192.168.7.0/24")
    layout = replace(a_layout(), network=Network("n", other, other[1]))
    found = main(layout)
    assert [export["path"] for export in found["nfs_server_exports"]] == ["/home", "/data"]
    for export in found["nfs_server_exports"]:
        assert export["clients"] == ["192.168.7.0/24"]
        assert set(export["options"]) == {"rw", "sync", "root_squash", "no_subtree_check"}
    assert found["nfs_client_mounts"] == [
        {"path": "/home", "source": "nfs-0:/home"},
        {"path": "/data", "source": "nfs-0:/data"},
    ]


def test_each_user_has_a_home_and_a_place_on_data() -> None:
    found = main(a_layout("multi-node"))
    assert found["nfs_server_homes"] == ["nucci"]
    assert found["nfs_server_directories"] == [
        {"path": "/data/nucci", "owner": "nucci", "group": "nucci", "mode": "0750"}
    ]
    assert found["nfs_server_links"] == [
        {"path": "/home/nucci/data", "target": "/data/nucci", "owner": "nucci"}
    ]


def test_exports_of_the_users_own_are_kept_to_the_network_and_mounted_too() -> None:
    found = main(a_layout("mini-hpc"))
    exports = {export["path"]: export for export in found["nfs_server_exports"]}
    assert list(exports) == ["/home", "/data", "/opt", "/srv"]
    assert {tuple(export["clients"]) for export in exports.values()} == {("10.20.30.0/24",)}
    assert all("root_squash" in export["options"] for export in exports.values())
    assert "ro" in exports["/srv"]["options"]
    assert "rw" not in exports["/srv"]["options"]
    assert [mount["path"] for mount in found["nfs_client_mounts"]] == list(exports)


def test_what_a_user_says_of_an_export_wins() -> None:
    mine = {"path": "/home", "clients": ["10.0.0.1"], "options": ["async", "no_root_squash"]}
    mounts = [{"path": "/home", "options": "ro"}, {"path": "/x", "source": "y:/x"}]
    layout = with_vars(nfs_server_exports=[mine], nfs_client_mounts=mounts)
    home, data = main(layout)["nfs_server_exports"]
    assert home["clients"] == ["10.0.0.1"]
    assert set(home["options"]) == {"async", "no_root_squash", "rw", "no_subtree_check"}
    assert data["path"] == "/data"
    assert main(layout)["nfs_client_mounts"] == [
        {"path": "/home", "source": "nfs-0:/home", "options": "ro"},
        {"path": "/data", "source": "nfs-0:/data"},
        {"path": "/x", "source": "y:/x"},
    ]


def test_a_template_in_the_place_of_a_list_is_left_alone() -> None:
    found = main(with_vars(nfs_server_exports="{{ mine }}", nfs_client_mounts=[]))
    assert found["nfs_server_exports"] == "{{ mine }}"
    assert found["nfs_client_mounts"] == []


def test_vars_win_key_by_key() -> None:
    layout = with_vars(
        "mini-hpc",
        slurm_common_config={"MinJobAge": 3600, "ClusterName": "mine"},
        common_hosts=False,
        ldap_server_suffix="dc=example,dc=org",
        anything="else",
    )
    found = main(layout)
    assert found["slurm_common_config"] == {"ClusterName": "mine", "MinJobAge": 3600}
    assert found["common_hosts"] is False
    assert found["ldap_client_base"] == found["ldap_server_suffix"] == "dc=example,dc=org"
    assert found["anything"] == "else"


def test_vars_of_a_node_win_over_what_is_derived_for_it() -> None:
    definition = load("full", overrides=["nodes.gpu-0.vars={slurm_common_node: {Weight: 9}, x: 1}"])
    found = files(a_layout(definition))["inventory/host_vars/gpu-0.yml"]
    assert found["slurm_common_node"] == {"Feature": "gpu", "Weight": 9}
    assert found["x"] == 1


def test_the_role_is_told_how_many_gpus_of_which_type_a_node_has() -> None:
    definition = load("full", overrides=["nodes.gpu-0.gpu_type=a100"])
    found = files(a_layout(definition))["inventory/host_vars/gpu-0.yml"]
    assert (found["slurm_common_fake_gpus"], found["slurm_common_fake_gpu_type"]) == (4, "a100")
    assert "slurm_common_fake_gpu_types" not in found
    assert "slurm_common_fake_gpus" not in files(a_layout())["inventory/host_vars/cpu-0.yml"]


def test_gpus_of_one_node_can_be_of_several_types() -> None:
    definition = load("full", overrides=["nodes.gpu-0.gpu_types={a100: 2, t4: 1}"])
    found = files(a_layout(definition))["inventory/host_vars/gpu-0.yml"]
    assert found["slurm_common_fake_gpus"] == 4
    assert found["slurm_common_fake_gpu_types"] == {"a100": 2, "t4": 1}


def test_a_small_machine_may_stand_in_for_a_big_one() -> None:
    assert "SlurmdParameters" not in main(a_layout())["slurm_common_config"]
    definition = load("full", overrides=["nodes.cpu-0.slurm={cpus: 128, features: amd}"])
    layout = a_layout(definition)
    assert main(layout)["slurm_common_config"]["SlurmdParameters"] == "config_overrides"
    assert files(layout)["inventory/host_vars/cpu-0.yml"]["slurm_common_node"] == {
        "CPUs": 128,
        "Feature": "amd",
    }


def test_partitions_say_what_slurm_wants_to_read() -> None:
    definition = load("full", overrides=["partitions.gpu.options={maxnodes: 1}"])
    assert main(a_layout(definition))["slurm_common_partitions"] == [
        {"name": "cpu", "group": "partition_cpu", "options": {"Default": "YES", "MaxTime": "1:00:00"}},
        {"name": "gpu", "group": "partition_gpu", "options": {"MaxTime": "1:00:00", "MaxNodes": 1}},
    ]


def test_slurmd_waits_for_the_mounts_that_jobs_use() -> None:
    assert main(a_layout())["slurmd_requires_mounts"] == ["/home", "/data"]
    assert "slurmd_requires_mounts" not in files(a_layout())["inventory/host_vars/cpu-0.yml"]


def test_slurmd_on_the_nfs_server_waits_for_no_mount() -> None:
    assert files(a_layout("cpu"))["inventory/host_vars/cpu-0.yml"]["slurmd_requires_mounts"] == []


def test_the_verify_suite_is_told_whom_to_be() -> None:
    found = files(a_layout())
    assert found[MAIN]["verify_user"] == "nucci"
    assert found[MAIN]["verify_ssh_key"] == "/srv/labs/.labctl/full/id_ed25519"
    assert found[SECRETS]["verify_password"] == "password-of-nucci"


def test_secrets_are_in_secret_files_alone() -> None:
    layout = with_vars(munge_key="TVktT1dOLUtFWQ==")
    texts = inventory(layout, secrets(layout.definition))
    hidden = "".join(texts[path] for path in SECRET_FILES)
    shown = "".join(text for path, text in texts.items() if path not in SECRET_FILES)
    for secret in ("TVktT1dOLUtFWQ==", "PRIVATE KEY", "password-of-nucci", "hash-of-nucci"):
        assert secret in hidden
        assert secret not in shown
    assert "TVVOR0UtS0VZ" not in hidden, "the user's key replaces the generated one"


@pytest.mark.parametrize("preset", ["cpu", "full", "gpu", "mini-hpc", "multi-node"])
def test_ansible_reads_it_without_a_warning(preset: str, tmp_path: Path) -> None:
    layout = a_layout(preset)
    found = through_ansible(layout, tmp_path)
    nodes = {machine.node.name for machine in layout.machines}
    assert set(found["_meta"]["hostvars"]) == nodes
    assert set(found["ldap_client"]["hosts"]) == nodes


def declared() -> dict[str, Any]:
    """Every variable that a role declares, by its name."""
    found: dict[str, Any] = {}
    for path in resource("roles").glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found |= entry.get("options", {})
    return found


@pytest.mark.parametrize("box", [BAKED, PUBLIC], ids=["own", "public"])
@pytest.mark.parametrize("preset", ["cpu", "full", "gpu", "mini-hpc", "multi-node"])
def test_every_variable_is_one_that_a_role_declares_and_of_its_type(preset: str, box: BoxImage) -> None:
    specification = declared()
    for path, variables in files(a_layout(preset, box=box)).items():
        if path == HOSTS:
            continue
        ours = {key: value for key, value in variables.items() if not key.startswith(("lab_", "verify_"))}
        assert set(ours) <= set(specification), path
        known = {key: {**specification[key], "required": False} for key in ours}
        result = ArgumentSpecValidator(known).validate(ours)
        assert result.error_messages == [], path


ODD = [
    "it's \"quoted\" \\ and #{more}", "yes", "1:00:00", "012", "0x10", "1_000", "1e3", "null", "~", "", " x ",
    "- a", "a: b", "a #b", "{{ not_a_template }}", "{% no %}", "&a", "*a", "!x", "2024-01-01", "=", "<<",
    "tab\tand\nnewline\n", "\n", "ünïcode 💡", "bell\x07", "line\u2028end", "%YAML", "...", "---", "@x",
]  # fmt: skip


def test_odd_values_reach_ansible_unchanged(tmp_path: Path) -> None:
    layout = with_vars(odd=dict(enumerate_keys(ODD)))
    found = through_ansible(layout, tmp_path)["_meta"]["hostvars"]["cpu-0"]["odd"]
    assert found == dict(enumerate_keys(ODD))


def enumerate_keys(values: list[str]) -> list[tuple[str, str]]:
    return [(f"k{index}", value) for index, value in enumerate(values)]


def test_a_name_that_looks_like_a_template_is_a_name(tmp_path: Path) -> None:
    gecos = "O'Brien \"{{ lookup('pipe', 'id') }}\" #1"
    definition = load("full", overrides=["users.nucci.gecos=" + json.dumps(gecos)])
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        "- hosts: cpu-0\n  gather_facts: false\n  connection: local\n  tasks:\n"
        "    - ansible.builtin.copy: {dest: '{{ out }}', content: '{{ ldap_server_users | to_json }}'}\n"
    )
    through_ansible(a_layout(definition), tmp_path)
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", tmp_path / "inventory", playbook]
    extra = ["-e", f"ansible_python_interpreter={sys.executable} out={tmp_path / 'out'}"]
    subprocess.run([*command, *extra], check=True, capture_output=True, timeout=120)
    (user,) = json.loads((tmp_path / "out").read_text())
    assert user["gecos"] == gecos
    assert user["password_hash"] == "{CRYPT}$6$hash-of-nucci"


@pytest.mark.parametrize(
    ("overrides", "baked", "tag"),
    [
        ([], True, "install"),
        ([], False, ""),
        (["vars.common_install=false"], True, "install"),
        (["vars.common_install=true"], True, ""),
    ],
    ids=["our box", "another box", "not asked for", "asked for"],
)
def test_nothing_is_installed_where_all_is_there_unless_somebody_asks_for_it(
    overrides: list[str], baked: bool, tag: str
) -> None:
    assert needless(load("cpu", overrides=overrides), baked=baked) == tag
