"""The playbooks and the worked example hold together, and the templates say what the data says."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from roles_files import NAMES, ROOT, ansible, read

EXAMPLE = ROOT / "inventories/cluster"
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_is_well_formed(playbook: Path) -> None:
    result = ansible("ansible-playbook", "-i", EXAMPLE, "--syntax-check", playbook)
    assert result.returncode == 0, result.stderr


def test_there_is_a_playbook_for_each_role() -> None:
    others = {"site", "mariadb_backup", "mariadb_restore", "munge_rotate"}
    assert {path.stem for path in PLAYBOOKS} == {*NAMES, *others}


def test_a_key_lies_ready_on_every_host_before_a_daemon_takes_it_up_and_the_controllers_stand_still() -> None:
    plays = read(ROOT / "playbooks/munge_rotate.yml")
    done = [(play["hosts"], _does(task)) for play in plays for task in play["tasks"]]
    assert done == [
        ("munge", "munge key"),
        ("slurmctld", "stopped"),
        ("munge", "munge run"),
        ("slurmctld", "started"),
        ("slurmctld", "slurmctld validate"),
    ]
    assert plays[0]["any_errors_fatal"] is True  # no daemon takes up what another host could not get


SYSTEMCTL = """#!/bin/sh
case $1 in
show) printf 'LoadState=loaded\\nActiveState=%s\\n' "$(cat "$STATE")" ;;
start) echo active > "$STATE" ;;
stop) echo inactive > "$STATE" ;;
esac
"""


@pytest.mark.parametrize(("broken", "controller"), [("head", "inactive"), ("cpu-0", "active")])
def test_where_munge_does_not_run_with_another_key_it_is_said_what_to_type(
    tmp_path: Path, broken: str, controller: str
) -> None:
    """The roles and systemd are stand-ins: what the playbook makes of a failure is its own."""
    for name, task in {
        "munge/tasks/key.yml": "ansible.builtin.debug: {msg: written}",
        "munge/tasks/run.yml": f"ansible.builtin.fail: {{msg: bad}}\n  when: inventory_hostname == '{broken}'",
        "slurmctld/tasks/validate.yml": "ansible.builtin.debug: {msg: answers}",
        "systemctl": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"- {task}\n" if task else SYSTEMCTL)
    (tmp_path / "systemctl").chmod(0o755)
    (tmp_path / "state").write_text("active\n")
    (tmp_path / "hosts").write_text("[munge]\nhead\ncpu-0\n[slurmctld]\nhead\n")
    settings = {"ansible_connection": "local", "ansible_become": False}
    settings["ansible_python_interpreter"] = sys.executable
    result = ansible(
        "ansible-playbook", "-i", tmp_path / "hosts", "-e", json.dumps(settings), ROOT / "playbooks/munge_rotate.yml",
        ANSIBLE_ROLES_PATH=str(tmp_path), STATE=str(tmp_path / "state"), PATH=f"{tmp_path}:{os.environ['PATH']}",
    )  # fmt: skip
    assert result.returncode != 0
    assert (tmp_path / "state").read_text() == f"{controller}\n", result.stdout
    stopped = ", and slurmctld stays stopped here" if broken == "head" else "."
    assert f"MUNGE does not run with the new key{stopped}" in result.stdout
    assert "nbad" in result.stdout  # the cause, on a line of its own
    assert f"journalctl -u munge.service on {broken};" in result.stdout
    assert ("systemctl start slurmctld.service" in result.stdout) == (broken == "head")


def _does(task: dict[str, Any]) -> str:
    (task,) = task.get("block", [task])
    role = task.get("ansible.builtin.include_role")
    return (
        f"{role['name']} {role['tasks_from']}" if role else task["ansible.builtin.systemd_service"]["state"]
    )


# What a role needs on the same host, before it.
NEEDS = {
    "common": ["distribution"],
    "measure": ["distribution"],
    "ldap_server": ["common"],
    "ldap_client": ["common", "ldap_server"],
    "nfs_server": ["ldap_client"],
    "nfs_client": ["ldap_client", "nfs_server"],
    "slurm_common": ["common", "munge", "measure", "ldap_client", "nfs_client"],
    "slurmdbd": ["munge", "mariadb"],
    "accounts": ["slurmdbd", "slurm_common"],
    "slurmctld": ["slurm_common", "accounts", "mpi"],
    "slurmd": ["slurmctld", "containers", "pyxis"],
    "pyxis": ["slurm_common", "fetch"],
    "slurmrestd": ["slurmctld"],
    "login": ["slurm_common"],
    "jupyterhub": ["jupyterlab"],
    "answers": ["jupyterhub", "slurmctld"],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, list[str]]]:
    """Run the whole playbook with stand-ins for the roles; what each host went through, in order."""
    folder = tmp_path_factory.mktemp("site")
    for name in NAMES:
        entries = {"main": name} | {
            "common": {"distribution": "distribution"},
            "slurm_common": {"measure": "measure"},
            "pyxis": {"fetch": "fetch"},
            "slurmdbd": {"accounts": "accounts"},
            "jupyterhub": {"validate": "answers"},
        }.get(name, {})
        (folder / name / "tasks").mkdir(parents=True)
        for entry, said in entries.items():
            (folder / name / f"tasks/{entry}.yml").write_text(
                f"- ansible.builtin.debug: {{msg: went through {said}}}\n"
            )
    groups = "".join(
        f"[{name}]\nall-in-one\n{'login-0' if name in ('munge', 'login') else ''}\n"
        for name in NAMES
        if name not in ("common", "slurm_common")
    )
    (folder / "hosts").write_text(f"bare\n{groups}")
    settings = json.dumps({"ansible_connection": "local", "ansible_become": False})

    def run(*options: str) -> dict[str, list[str]]:
        said = ansible(
            "ansible-playbook", "-i", folder / "hosts", "-e", settings, *options, ROOT / "playbooks/site.yml",
            ANSIBLE_ROLES_PATH=str(folder), ANSIBLE_STDOUT_CALLBACK="ansible.builtin.oneline",
        )  # fmt: skip
        assert said.returncode == 0, said.stdout + said.stderr
        went: dict[str, list[str]] = {}
        for host, role in re.findall(r"^(\S+) \| .*went through (\w+)", said.stdout, re.MULTILINE):
            went.setdefault(host, []).append(role)
        return went

    return run


def test_every_host_gets_its_roles_in_the_order_of_what_needs_what(
    site: Callable[..., dict[str, list[str]]],
) -> None:
    went = site()
    assert went["bare"] == ["distribution", "common"]
    assert went["login-0"] == ["distribution", "common", "munge", "login"]
    whole = went["all-in-one"]
    assert sorted(whole) == sorted([*NAMES, "distribution", "measure", "fetch", "accounts", "answers"])
    for role, needed in NEEDS.items():
        for earlier in needed:
            assert whole.index(earlier) < whole.index(role), f"{role} before {earlier}"


@pytest.mark.parametrize(
    ("options", "there"),
    [
        (["--tags", "munge"], ["distribution", "munge"]),
        (["--tags", "slurmd"], ["distribution", "measure", "slurm_common", "slurmd"]),
        (["--tags", "common,registry"], ["distribution", "common", "registry"]),
    ],
)
def test_with_tags_a_host_gets_these_roles_alone(
    site: Callable[..., dict[str, list[str]]], options: list[str], there: list[str]
) -> None:
    assert site(*options)["all-in-one"] == there


def test_roles_can_be_left_out(site: Callable[..., dict[str, list[str]]]) -> None:
    left = {*NAMES, "distribution", "measure", "fetch", "accounts"} - set(
        site("--skip-tags", "munge,login,ldap_client")["all-in-one"]
    )
    assert left == {"munge", "login", "ldap_client"}


def example() -> dict[str, Any]:
    result = ansible("ansible-inventory", "-i", EXAMPLE, "--list")
    assert "WARNING" not in result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_example_describes_a_whole_cluster() -> None:
    groups = example()
    assert set(NAMES) - {"common"} <= set(groups)
    assert len(groups["standard"]["hosts"]) == 32
    assert {"standard", "bigmem", "gpu"} == set(groups["slurmd"]["children"])


def test_the_example_carries_no_secret() -> None:
    values = read(EXAMPLE / "group_vars/all/vault.yml.example")
    assert list(values.pop("vault_password_hashes").values()) == [None]
    assert set(values.values()) == {None}
    given = read(EXAMPLE / "group_vars/all/main.yml")
    accounting = read(EXAMPLE / "group_vars/all/accounting.yml")
    for secret in ("slurmdbd_storage_password", "slurm_common_jwt_key", "slurmrestd_tls_key"):
        assert accounting[secret].startswith("{{ vault_")
    assert read(EXAMPLE / "group_vars/all/containers.yml")["registry_key"].startswith("{{ vault_")
    assert read(EXAMPLE / "group_vars/all/jupyter.yml")["jupyterhub_tls_key"].startswith("{{ vault_")
    for secret in ("munge_key", "ldap_server_tls_key"):
        assert given[secret].startswith("{{ vault_")
    assert all("vault_" in user.get("password_hash", "vault_") for user in given["ldap_server_users"])


def test_what_the_example_says_are_variables_of_the_roles() -> None:
    own = {"ansible_user", "ansible_remote_tmp"}
    files = [*EXAMPLE.glob("group_vars/*/*.yml"), *EXAMPLE.glob("host_vars/*.yml")]
    names = {name for path in files for name in read(path)} - own
    known = {
        name
        for path in ROOT.glob("roles/*/meta/argument_specs.yml")
        for name in read(path)["argument_specs"]["main"]["options"]
    }
    assert names - known == set()


HARDWARE = {"CPUs": 2, "RealMemory": 961}
CLUSTER = {
    "all": {
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "slurm_common_config": {
                "ClusterName": "test",
                "SlurmctldPort": 7002,
                "PrologFlags": None,
                "Include": ["/a", "/b"],
            },
            "slurm_common_cgroup": {"ConstrainSwapSpace": None, "AllowedRAMSpace": 98},
            "slurm_common_partitions": [
                {"name": "cpu", "group": "partition_cpu", "options": {"Default": True, "MaxTime": "1:00:00"}},
                {"name": "gpu", "nodes": ["gpu-0.example.org"]},
            ],
        },
        "children": {
            "slurmctld": {"hosts": {"ctl-0.example.org": {"slurm_common_fake_gpus": 2}}},
            "slurmdbd": {"hosts": {"dbd-0.example.org": {}, "dbd-1": {}}},
            "slurmd": {
                "hosts": {
                    "cpu-0": {},
                    "gpu-0.example.org": {
                        "slurm_common_fake_gpus": 4,
                        "slurm_common_fake_gpu_types": {"a100": 2, "t4": 1},
                        "slurm_common_node": {"Feature": ["gpu", "fake"], "CPUs": 8},
                        "slurm_common_gres": [{"Name": "nic", "Count": 1}],
                    },
                }
            },
            "partition_cpu": {"hosts": {"cpu-0": {}}},
        },
    }
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files that the templates of several roles make of one small cluster, on its controller."""
    folder = tmp_path_factory.mktemp("written")
    templates = {
        "slurm_common": ["slurm.conf", "cgroup.conf", "gres.conf"],
        "slurmd": ["slurmd.conf", "fakegpu.conf", "pam"],
        "ldap_client": ["sssd.conf", "ldap.conf"],
        "nfs_server": ["exports", "nfs.conf"],
        "ldap_server": ["directory.yml"],
        "mariadb": ["server.cnf"],
        "slurmdbd": ["slurmdbd.conf"],
        "slurmrestd": ["slurmrestd.service", "slurmrestd-tls.conf"],
        "mpi": ["params.conf"],
        "login": ["limits.conf"],
        "pyxis": ["pyxis.conf", "enroot.conf"],
    }
    variables = {
        "slurmd_requires_mounts": ["/home", "/data"],
        "slurmd_pam_adopt_groups": ["admins"],
        "mpi_params": {"btl": ["self", "tcp"], "mpi_show_handle_leaks": True, "pml": None},
        "login_limits": {"cpu": 60, "nproc": None},
        "pyxis_options": {"execute_entrypoint": True},
        "pyxis_enroot_config": {"ENROOT_MOUNT_HOME": False, "ENROOT_CACHE_PATH": None},
        "slurm_common_jwt_key": "S0VZ",
        "mariadb_config": {"innodb_buffer_pool_size": "2G", "innodb_lock_wait_timeout": None},
        "slurmdbd_storage_password": "hidden",
        "slurmdbd_config": {"DbdPort": 7031, "TrackSlurmctldDown": True, "LogFile": None},
        "slurmrestd_options": ["-v"],
        "slurmrestd_tls_address": "192.0.2.1",
        "ldap_client_uris": ["ldap://a", "ldap://b"],
        "ldap_client_base": "dc=x",
        "ldap_client_sssd": {"domain/default": {"enumerate": True, "ldap_access_filter": None}, "pam": None},
        "nfs_server_exports": [
            {"path": "/home", "clients": ["10.0.0.0/24", "10.1.0.0/24"]},
            {"path": "/opt", "clients": ["10.0.0.0/24"], "options": ["ro"]},
        ],
        "ldap_server_suffix": "dc=x,dc=org",
        "ldap_server_absent_users": ["eve", "bob"],
        "ldap_server_absent_groups": ["research", "eve"],
        "ldap_server_groups": [{"name": "research", "gid": 10100, "members": ["ann"]}],
        "ldap_server_users": [
            {
                "name": "ann",
                "uid": 10000,
                "gecos": 'Ann: the "first"',
                "password_hash": "{CRYPT}hidden",
                "ssh_keys": ["k1", "k2"],
            },
            {"name": "bob", "uid": 10001, "gid": 10100, "gecos": "Bøb"},
        ],
    }
    files = [ROOT / "roles" / role / "vars/main.yml" for role in templates]
    for role in templates:  # defaults give way to what the inventory says, as in a role
        given = CLUSTER["all"]["vars"]
        CLUSTER["all"]["vars"] = read(ROOT / "roles" / role / "defaults/main.yml") | given
    tasks = [
        {
            "ansible.builtin.template": {
                "src": str(ROOT / "roles" / role / "templates" / f"{name}.j2"),
                "dest": str(folder / name),
                "mode": "0644",
            }
        }
        for role, names in templates.items()
        for name in names
    ]
    play = {"hosts": "slurmctld", "gather_facts": False, "vars_files": list(map(str, files)), "tasks": tasks}
    measured = {"slurm_common_hardware": HARDWARE, "cacheable": True}
    before = {"hosts": "slurmd", "gather_facts": False, "tasks": [{"ansible.builtin.set_fact": measured}]}
    (folder / "play.yml").write_text(yaml.safe_dump([before, play]), encoding="utf-8")
    (folder / "hosts.yml").write_text(yaml.safe_dump(CLUSTER, sort_keys=False), encoding="utf-8")
    (folder / "vars.json").write_text(json.dumps(variables), encoding="utf-8")
    result = ansible(
        "ansible-playbook", "-i", folder / "hosts.yml", "-e", f"@{folder / 'vars.json'}", folder / "play.yml"
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return {
        name: (folder / name).read_text(encoding="utf-8") for names in templates.values() for name in names
    }


def test_slurm_conf_merges_drops_and_repeats(written: dict[str, str]) -> None:
    lines = written["slurm.conf"].splitlines()
    assert "SlurmctldHost=ctl-0" in lines
    assert "SlurmctldPort=7002" in lines
    assert {"Include /a", "Include /b"} <= set(lines)
    assert "GresTypes=gpu" in lines
    assert not [line for line in lines if line.startswith("PrologFlags")]
    assert [line for line in lines if line.startswith("ProctrackType")] == ["ProctrackType=proctrack/cgroup"]


def test_nodes_are_what_was_measured_and_what_overrides_it(written: dict[str, str]) -> None:
    lines = [line for line in written["slurm.conf"].splitlines() if line.startswith(("Node", "Part"))]
    assert lines == [
        "NodeName=cpu-0 CPUs=2 RealMemory=944",
        "NodeName=gpu-0 CPUs=8 RealMemory=944 Gres=gpu:a100:2,gpu:t4:1,gpu:fake:1 Feature=gpu,fake",
        "PartitionName=cpu Nodes=cpu-0 Default=yes MaxTime=1:00:00",
        "PartitionName=gpu Nodes=gpu-0",
    ]


def test_gres_conf_names_the_fake_devices_and_hides_cuda(written: dict[str, str]) -> None:
    assert [line for line in written["gres.conf"].splitlines() if line.startswith("Node")][-4:] == [
        "NodeName=gpu-0 Name=gpu Type=a100 File=/dev/fakegpu[0-1] Flags=no_gpu_env",
        "NodeName=gpu-0 Name=gpu Type=t4 File=/dev/fakegpu2 Flags=no_gpu_env",
        "NodeName=gpu-0 Name=gpu Type=fake File=/dev/fakegpu3 Flags=no_gpu_env",
        "NodeName=gpu-0 Name=nic Count=1",
    ]


def test_accounting_is_where_the_inventory_has_it(written: dict[str, str]) -> None:
    lines = written["slurm.conf"].splitlines()
    assert "AccountingStorageType=accounting_storage/slurmdbd" in lines
    assert {"AccountingStorageHost=dbd-0", "AccountingStorageBackupHost=dbd-1"} <= set(lines)


def test_a_key_of_tokens_is_named_and_not_told(written: dict[str, str]) -> None:
    for name in ("slurm.conf", "slurmdbd.conf"):
        lines = written[name].splitlines()
        assert {"AuthAltTypes=auth/jwt", "AuthAltParameters=jwt_key=/etc/slurm/jwt_hs256.key"} <= set(lines)
    assert not [name for name, text in written.items() if "S0VZ" in text or "KEY" in text.split()]


def test_slurmdbd_conf_merges_and_drops(written: dict[str, str]) -> None:
    lines = written["slurmdbd.conf"].splitlines()
    assert {"DbdHost=ctl-0", "DbdPort=7031", "TrackSlurmctldDown=yes", "StoragePass=hidden"} <= set(lines)
    assert not [line for line in lines if line.startswith("LogFile")]


def test_the_database_server_listens_on_loopback_unless_told(written: dict[str, str]) -> None:
    lines = written["server.cnf"].splitlines()
    assert lines[1] == "[mariadbd]"
    assert {"bind_address = 127.0.0.1", "innodb_buffer_pool_size = 2G", "skip_name_resolve = ON"} <= set(
        lines
    )
    assert not [line for line in lines if "lock_wait" in line]


def test_the_rest_daemon_is_behind_tls_and_not_root(written: dict[str, str]) -> None:
    unit = written["slurmrestd.service"].splitlines()
    assert "ExecStart=/usr/sbin/slurmrestd -a rest_auth/jwt -v 127.0.0.1:6820" in unit
    assert "User=slurmrestd" in unit
    tls = written["slurmrestd-tls.conf"].splitlines()
    assert {"accept = 192.0.2.1:6820", "connect = 127.0.0.1:6820", "sslVersionMin = TLSv1.2"} <= set(tls)


def test_the_rest_daemon_loads_nothing_that_asks_accounting_where_there_is_none(tmp_path: Path) -> None:
    """With slurmdbd in the inventory it loads what it likes, see above; without, it would end at once."""
    own: dict[str, dict[str, Any]] = {
        "none": {},
        "dropped": {"slurm_common_config": {"AccountingStorageType": None}},
        "elsewhere": {"slurm_common_config": {"AccountingStorageType": "accounting_storage/slurmdbd"}},
        "chosen": {"slurmrestd_options": ["-s openapi/v0.0.38"]},
    }
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {name: {**local, "slurmrestd_options": [], **more} for name, more in own.items()}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    told = {
        "dest": f"{tmp_path}/{{{{ inventory_hostname }}}}",
        "content": "{{ __slurmrestd_plugins | join(' ') }}",
    }
    tasks = [{"ansible.builtin.copy": told}]
    files = [str(ROOT / "roles/slurmrestd/vars/main.yml")]
    play = [{"hosts": "all", "gather_facts": False, "vars_files": files, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    run = ansible("ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "play.yml")
    assert run.returncode == 0, run.stdout + run.stderr
    slurm_alone = "-s openapi/v0.0.36,openapi/v0.0.37,openapi/v0.0.38"
    expected = {"none": slurm_alone, "dropped": slurm_alone, "elsewhere": "", "chosen": ""}
    assert {name: (tmp_path / name).read_text() for name in own} == expected


def test_the_plugin_and_enroot_are_told_what_differs_from_their_own(written: dict[str, str]) -> None:
    plugin = "required /usr/local/lib/slurm/spank_pyxis.so runtime_path=/var/lib/pyxis execute_entrypoint=1"
    assert written["pyxis.conf"].splitlines()[2:] == [plugin]
    assert written["enroot.conf"].splitlines()[1:] == [
        "ENROOT_RUNTIME_PATH /var/lib/pyxis/$(id -u)/run",
        "ENROOT_DATA_PATH /var/lib/pyxis/$(id -u)/data",
        "ENROOT_MOUNT_HOME no",
    ]


def test_fake_devices_have_numbers_of_no_real_device(written: dict[str, str]) -> None:
    lines = [line for line in written["fakegpu.conf"].splitlines() if line.startswith("c")]
    assert lines == ["c /dev/fakegpu0 0666 root root - 240:0", "c /dev/fakegpu1 0666 root root - 240:1"]


def test_cgroups_confine_everything_unless_told_otherwise(written: dict[str, str]) -> None:
    assert written["cgroup.conf"].splitlines()[1:] == [
        "ConstrainCores=yes",
        "ConstrainRAMSpace=yes",
        "ConstrainDevices=yes",
        "AllowedRAMSpace=98",
    ]


def test_slurmd_waits_for_its_mounts(written: dict[str, str]) -> None:
    assert "RequiresMountsFor=/home /data\n" in written["slurmd.conf"]


def test_who_is_of_the_host_or_an_admin_needs_no_job_and_slurm_decides_last(written: dict[str, str]) -> None:
    lines = [line for line in written["pam"].splitlines() if not line.startswith("#")]
    assert lines == [
        "account sufficient pam_localuser.so",
        "account sufficient pam_succeed_if.so quiet user ingroup admins",
        "account required pam_slurm_adopt.so action_adopt_failure=deny action_generic_failure=deny",
    ]


def test_mpi_and_limits_are_data(written: dict[str, str]) -> None:
    assert written["params.conf"] == "btl = self,tcp\nmpi_show_handle_leaks = 1\n"
    assert written["limits.conf"].splitlines()[2:] == ["* hard cpu 60"]


def test_sssd_demands_tls_and_takes_overrides(written: dict[str, str]) -> None:
    text = written["sssd.conf"]
    assert "ldap_uri = ldap://a, ldap://b\n" in text
    assert "ldap_id_use_start_tls = true\n" in text
    assert "ldap_tls_reqcert = demand\n" in text
    assert "enumerate = true\n" in text
    assert "ldap_access_filter" not in text
    assert "[pam]" not in text


def test_exports_go_to_their_clients_with_root_squash(written: dict[str, str]) -> None:
    options = "rw,sync,no_subtree_check,root_squash,sec=sys"
    assert written["exports"].splitlines()[1:] == [
        f"/home 10.0.0.0/24({options}) 10.1.0.0/24({options})",
        f"/opt 10.0.0.0/24({options},ro)",
    ]
    assert "vers3=n\n" in written["nfs.conf"]


def test_the_directory_has_users_groups_and_no_password(written: dict[str, str]) -> None:
    entries = {
        item["dn"]: item["attributes"]
        for item in yaml.safe_load(written["directory.yml"])
        if item.get("state") != "absent"
    }
    ann = entries["uid=ann,ou=People,dc=x,dc=org"]
    assert ann["cn"] == 'Ann: the "first"'
    assert (ann["gidNumber"], ann["homeDirectory"], ann["sshPublicKey"]) == (10000, "/home/ann", ["k1", "k2"])
    assert entries["cn=ann,ou=Groups,dc=x,dc=org"]["gidNumber"] == 10000
    assert entries["cn=research,ou=Groups,dc=x,dc=org"]["memberUid"] == ["ann"]
    assert "cn=bob,ou=Groups,dc=x,dc=org" not in entries
    bob = entries["uid=bob,ou=People,dc=x,dc=org"]
    assert (bob["cn"], bob["gecos"]) == ("Bøb", "bob")  # gecos is ASCII alone
    assert "hidden" not in written["directory.yml"]


def test_who_shall_be_absent_goes_but_who_is_listed_as_well_stays(written: dict[str, str]) -> None:
    items = yaml.safe_load(written["directory.yml"])
    assert [item["dn"] for item in items if item.get("state") == "absent"] == [
        "uid=eve,ou=People,dc=x,dc=org",
        "cn=eve,ou=Groups,dc=x,dc=org",
    ]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as a site installs it, built from a tree with everything else in it too."""
    folder = tmp_path_factory.mktemp("collection")
    source = folder / "source"
    for name in ("roles", "playbooks", "plugins", "inventories"):
        shutil.copytree(ROOT / name, source / name, symlinks=True)
    shutil.copy(ROOT / "galaxy.yml", source)
    (source / "README.md").write_text("x", encoding="utf-8")
    for other in ("labctl", "tests", ".venv"):
        (source / other).mkdir()
        (source / other / "file").write_text("x", encoding="utf-8")
    built = ansible("ansible-galaxy", "collection", "build", "--output-path", folder, folder=source)
    assert built.returncode == 0, built.stderr
    (archive,) = folder.glob("*.tar.gz")
    installed = ansible("ansible-galaxy", "collection", "install", "--offline", "-p", folder / "in", archive)
    assert installed.returncode == 0, installed.stderr
    return folder / "in"


def test_the_collection_carries_what_a_real_cluster_needs_alone(collection: Path) -> None:
    names = {path.name for path in (collection / "ansible_collections/labctl/hpc").iterdir()}
    assert names - {"FILES.json", "MANIFEST.json"} == {
        "roles",
        "playbooks",
        "plugins",
        "inventories",
        "README.md",
    }


def test_roles_of_the_collection_find_their_modules(collection: Path, tmp_path: Path) -> None:
    modules = {path.stem for path in ROOT.glob("roles/*/library/*.py")}
    assert {path.stem for path in (ROOT / "plugins/modules").iterdir()} == modules
    role = {"name": "labctl.hpc.slurm_common", "tasks_from": "measure"}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": role}]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    node = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.yml").write_text(
        yaml.safe_dump({"slurmd": {"hosts": {"node": node}}}), encoding="utf-8"
    )
    result = ansible(
        "ansible-playbook",
        "-i",
        tmp_path / "hosts.yml",
        tmp_path / "play.yml",
        ANSIBLE_COLLECTIONS_PATH=str(collection),
    )
    assert result.returncode == 0, result.stdout
