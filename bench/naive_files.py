"""The files of a cluster as people write them by hand: a Vagrantfile, an inventory and a playbook. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from labctl.definition.models import Definition, Node
from labctl.render import groups
from labctl.render.inventory import HOSTS, inventory
from labctl.render.layout import BoxImage, Driver, Layout, Machine, Network, Secrets

BOX = "labctl-bench-plain"
_BOOT_TIMEOUT = 1800  # seconds; Vagrant's own 300 are too few for six stock machines at once under emulation


@dataclass(frozen=True)
class Login:
    """How Vagrant says that a machine is reached."""

    address: str
    user: str
    key: str


def vagrantfile(nodes: Sequence[Node], driver: Driver) -> str:
    """The Vagrantfile: as many machines, of the same size, with vagrant-libvirt's own defaults for all the rest.

    But for the key: Vagrant would give each machine one of its own, with which nobody gets in once /home is mounted.
    """
    sizes = "\n".join(f"  '{node.name}' => {{ cpus: {node.cpus}, memory: {node.memory} }}," for node in nodes)
    # vagrant-libvirt asks for KVM unless it is told that there is none.
    emulated = "        libvirt.driver = 'qemu'\n" if driver == "qemu" else ""
    return f"""\
MACHINES = {{
{sizes}
}}

Vagrant.configure('2') do |config|
  config.vm.box = '{BOX}'
  config.vm.boot_timeout = {_BOOT_TIMEOUT}
  config.ssh.insert_key = false
  config.vm.synced_folder '.', '/vagrant', disabled: true

  MACHINES.each do |name, size|
    config.vm.define name do |node|
      node.vm.provider :libvirt do |libvirt|
{emulated}        libvirt.cpus = size[:cpus]
        libvirt.memory = size[:memory]
      end
    end
  end
end
"""


def logins(ssh_config: str) -> dict[str, Login]:
    """What `vagrant ssh-config` says, by machine."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in ssh_config.splitlines():
        word, _, value = line.strip().partition(" ")
        value = value.strip().strip('"')
        if word == "Host":
            current = found.setdefault(value, {})
        elif word and not word.startswith("#"):
            current.setdefault(word, value)
    return {
        name: Login(options["HostName"], options["User"], options["IdentityFile"])
        for name, options in found.items()
    }


def hosts(nodes: Sequence[Node], by_name: Mapping[str, Login]) -> str:
    """The inventory's hosts and groups."""
    lines = ["[all:vars]", "ansible_become=true", f"ansible_ssh_common_args='{_SSH}'", "", "[all]"]
    for node in nodes:
        login = by_name[node.name]
        lines.append(
            f"{node.name} ansible_host={login.address} ansible_user={login.user}"
            f" ansible_ssh_private_key_file='{login.key}'"
        )
    for group, members in groups.members(nodes).items():
        lines += ["", f"[{group}]", *members]
    return "\n".join(lines) + "\n"


_SSH = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes"


def layout(
    definition: Definition, by_name: Mapping[str, Login], *, gateway: str, directory: Path, public_key: str
) -> Layout:
    """Where Vagrant put the machines, in the words that the variables of the roles are rendered from."""
    subnet = IPv4Network(f"{gateway}/24", strict=False)
    machines = tuple(
        Machine(node, node.name, "", IPv4Address(by_name[node.name].address))
        for node in definition.machines()
    )
    return Layout(
        lab="naive",
        definition=definition,
        network=Network("vagrant-libvirt", subnet, IPv4Address(gateway)),
        machines=machines,
        box=BoxImage(BOX),
        driver="qemu",
        provider="libvirt",
        directory=directory,
        public_key=public_key,
        prefix="",
    )


def variables(of: Layout, secrets: Secrets) -> dict[str, str]:
    """The inventory's variables, by file: those that the roles need, the same as a lab's."""
    return {path: text for path, text in inventory(of, secrets).items() if path != HOSTS}


def ansible_cfg(roles: Path) -> str:
    """Where the roles are, and the two settings without which it does not come to its end; else Ansible's defaults.

    Its own 10 s to connect are too few for emulated machines that all work at once. And once /home is mounted, the
    folder in the login's home that modules are put into belongs to somebody whom root, which NFS squashes, is not.
    """
    return f"[defaults]\nroles_path = {roles}\ntimeout = 60\nremote_tmp = /var/tmp/ansible\n"


def playbook(site: Path) -> str:
    """Facts are gathered, as every playbook does that says nothing of them; then the cluster's own playbook."""
    return f"""\
---
- name: Know the machines
  hosts: all

- name: Make the cluster
  ansible.builtin.import_playbook: {site}
"""
