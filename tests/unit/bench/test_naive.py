"""The way people do it today, as files: what they would write by hand, and nothing that makes it faster or slower."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bench import naive, naive_files
from bench.mirror import index, package_sets, stanza
from bench.plain_box import GATEWAY, MIRROR, mmdebstrap
from bench.programs import BenchError
from labctl.definition import loading
from labctl.render import groups

SSH_CONFIG = """\
Host ldap-0
  HostName 192.168.121.7
  User vagrant
  Port 22
  IdentityFile "/a folder/.vagrant/machines/ldap-0/libvirt/private_key"

Host cpu-0
  HostName 192.168.121.8
  User vagrant
  IdentityFile /x/.vagrant/machines/cpu-0/libvirt/private_key
"""


def logins() -> dict[str, naive_files.Login]:
    nodes = loading.load("full").machines()
    return {
        node.name: naive_files.Login(f"192.168.121.{20 + at}", "vagrant", f"/keys/{node.name}")
        for at, node in enumerate(nodes)
    }


def test_the_vagrantfile_has_every_machine_in_its_size_and_little_else() -> None:
    text = naive_files.vagrantfile(loading.load("full").machines(), "kvm")
    assert "'slurmctld-0' => { cpus: 1, memory: 1024 }," in text
    assert "'gpu-0' => { cpus: 2, memory: 1024 }," in text
    assert text.count("=> { cpus:") == 7
    settings = set(re.findall(r"\b(?:config|libvirt)\.[\w.]+(?= =)", text))
    settings_that_differ = {"config.vm.boot_timeout", "config.ssh.insert_key"}
    assert settings == {"config.vm.box", "libvirt.cpus", "libvirt.memory"} | settings_that_differ


def test_emulation_is_asked_for_where_there_is_no_kvm() -> None:
    assert "libvirt.driver = 'qemu'" in naive_files.vagrantfile(loading.load("full").machines(), "qemu")
    assert "driver" not in naive_files.vagrantfile(loading.load("full").machines(), "kvm")


@pytest.mark.skipif(not shutil.which("ruby"), reason="needs Ruby")
def test_the_vagrantfile_is_ruby() -> None:
    text = naive_files.vagrantfile(loading.load("full").machines(), "qemu")
    subprocess.run(["ruby", "-c"], input=text, text=True, capture_output=True, check=True, timeout=60)


def test_vagrants_ssh_config_is_read() -> None:
    assert naive_files.logins(SSH_CONFIG) == {
        "ldap-0": naive_files.Login(
            "192.168.121.7", "vagrant", "/a folder/.vagrant/machines/ldap-0/libvirt/private_key"
        ),
        "cpu-0": naive_files.Login(
            "192.168.121.8", "vagrant", "/x/.vagrant/machines/cpu-0/libvirt/private_key"
        ),
    }


def test_the_inventory_has_every_host_with_its_address_and_every_group_of_a_lab() -> None:
    nodes = loading.load("full").machines()
    parser = configparser.ConfigParser(allow_no_value=True, delimiters=["="], interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(naive_files.hosts(nodes, logins()))
    hosts = [line.split()[0] for line in parser["all"]]
    assert hosts == [node.name for node in nodes]
    assert parser["all"]["gpu-0 ansible_host"].startswith("192.168.121.26 ansible_user=vagrant")
    assert {group: list(parser[group]) for group in groups.members(nodes)} == groups.members(nodes)


def test_the_roles_are_told_the_same_as_in_a_lab_but_install_their_packages(tmp_path: Path) -> None:
    naive.write_inventory(loading.load("full"), logins(), tmp_path)
    main = YAML(typ="safe").load(tmp_path / "inventory/group_vars/all/main.yml")
    assert main["slurm_common_config"]["ClusterName"] == "naive"
    assert main["common_hostname"] is True
    assert not [key for key in main if key.endswith("_install")]
    assert main["nfs_server_exports"][0]["clients"] == ["192.168.121.0/24"]
    plays = YAML(typ="safe").load(tmp_path / "site.yml")
    assert "gather_facts" not in plays[0]
    assert plays[1]["ansible.builtin.import_playbook"].endswith("playbooks/site.yml")


def test_ansible_is_as_it_comes(tmp_path: Path) -> None:
    theirs = {"ANSIBLE_STRATEGY": "mitogen_free", "ANSIBLE_PIPELINING": "1", "HOME": "/root"}
    env = naive.ansible_environment(theirs, tmp_path)
    assert [key for key in env if key.startswith("ANSIBLE_")] == ["ANSIBLE_CONFIG"]
    assert env["HOME"] == "/root"
    config = configparser.ConfigParser()
    config.read_string(naive_files.ansible_cfg(Path("/project/roles")))
    assert dict(config["defaults"]) == {
        "roles_path": "/project/roles",
        "timeout": "60",
        "remote_tmp": "/var/tmp/ansible",  # noqa: S108 - on the machines
    }


def test_a_playbook_that_fails_leaves_the_machines_journals_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "bench.log"
    for program, code in (("ansible-playbook", 2), ("ansible", 0)):
        script = tmp_path / program
        script.write_text(f'#!/bin/sh\necho "{program}: $*"\nexit {code}\n')
        script.chmod(0o755)
    monkeypatch.setattr(naive, "_ANSIBLE", str(tmp_path / "ansible-playbook"))
    monkeypatch.setattr(naive, "_AD_HOC", str(tmp_path / "ansible"))
    with pytest.raises(BenchError, match=r"ansible-playbook .* ended with 2"):
        naive.run_playbook(tmp_path, log)
    assert "ansible: all -i inventory" in log.read_text()
    assert "journalctl --boot" in log.read_text()


def test_a_mirror_that_cannot_be_served_is_said_at_once(tmp_path: Path) -> None:
    unreachable = "192.0.2.1"  # of the range that is nobody's
    with (
        pytest.raises(BenchError, match="cannot be served"),
        naive.serving(tmp_path, unreachable, 8099, tmp_path / "log"),
    ):
        pass


def test_every_set_of_packages_of_every_role_is_in_the_mirror() -> None:
    sets = package_sets()
    assert ("python3-apt",) in sets
    assert ("slurmctld",) in sets
    assert any("slapd" in names for names in sets)
    assert all(sets)


def test_each_set_is_resolved_alone_and_no_mirror_is_named_but_the_hosts() -> None:
    own = "deb http://mirror.example/debian bookworm main"
    command = mmdebstrap(
        Path("/w/tree"), Path("/w/mirror"), [("munge",), ("slurmd", "dbus")], "ssh-rsa AAAA", [own]
    )
    downloads = [word for word in command if "--download-only" in word]
    assert [word.rsplit(" install ", 1)[1] for word in downloads] == ["munge", "slurmd dbus"]
    urls = {url for word in command for url in re.findall(r"https?://[^/ ]+", word)}
    assert urls == {"http://mirror.example", MIRROR.rstrip("/")}
    assert GATEWAY in MIRROR


def test_the_index_says_what_apt_must_know() -> None:
    said = stanza("Package: munge\nVersion: 0.5\n\n", "munge_0.5.deb", b"abc")
    assert said.splitlines() == [
        "Package: munge",
        "Version: 0.5",
        "Filename: ./munge_0.5.deb",
        "Size: 3",
        "SHA256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ]


def test_an_empty_mirror_is_no_mirror(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no packages"):
        index(tmp_path)
