"""The Vagrantfile says to both providers what the definition says, whatever the names in it look like."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from render_layouts import BAKED, KEY, PUBLIC, a_layout

from labctl.errors import BootError
from labctl.render.templates import ruby
from labctl.render.vagrantfile import vagrantfile

# What a kernel under emulation is told, and no other.
EMULATED = [
    "mitigations=off",
    "no_timer_check",
    "norandmaps",
    "audit=0",
    "init_on_alloc=0",
    "randomize_kstack_offset=off",
    "psi=0",
    "preempt=none",
    "lsm=yama",
    "cryptomgr.notests",
]
RECORDER = Path(__file__).parent / "recording_vagrant.rb"
ODD = 'it\'s #{1 + 1} "odd" & <b> \\ %s'
needs_ruby = pytest.mark.skipif(not shutil.which("ruby"), reason="ruby is not installed")
needs_vagrant = pytest.mark.skipif(not shutil.which("vagrant"), reason="vagrant is not installed")


def evaluated(text: str, folder: Path) -> Any:
    """What the Vagrantfile tells Vagrant."""
    path = folder / "Vagrantfile"
    path.write_text(text, encoding="utf-8")
    result = subprocess.run(["ruby", RECORDER, path], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def calls(recorded: Any, name: str) -> list[list[Any]]:
    return [[arguments, options] for called, arguments, options in recorded["called"] if called == name]


@needs_ruby
@pytest.mark.parametrize("provider", ["libvirt", "virtualbox"])
@pytest.mark.parametrize("box", [BAKED, PUBLIC], ids=["own", "public"])
@pytest.mark.parametrize("driver", ["kvm", "qemu"])
def test_it_is_ruby(provider: str, box: Any, driver: str, tmp_path: Path) -> None:
    text = vagrantfile(a_layout(provider=provider, box=box, driver=driver))
    path = tmp_path / "Vagrantfile"
    path.write_text(text, encoding="utf-8")
    result = subprocess.run(["ruby", "-wc", path], capture_output=True, text=True, check=False, timeout=60)
    assert (result.stdout, result.stderr) == ("Syntax OK\n", "")


@needs_vagrant
@pytest.mark.parametrize("preset", ["full", "gpu"])
@pytest.mark.parametrize("box", [BAKED, PUBLIC], ids=["own", "public"])
def test_vagrant_finds_it_valid_for_libvirt(preset: str, box: Any, tmp_path: Path) -> None:
    layout = a_layout(preset, box=box, directory=tmp_path / "a lab's folder")
    validate(layout.directory, vagrantfile(layout))


@needs_vagrant
def test_vagrant_finds_it_valid_for_virtualbox(tmp_path: Path) -> None:
    layout = a_layout(provider="virtualbox", box=PUBLIC, directory=tmp_path)
    validate(layout.directory, vagrantfile(layout), "--ignore-provider")


@needs_vagrant
def test_vagrant_finds_machines_to_copy_valid_which_are_no_nodes_and_in_a_file_of_their_own(
    tmp_path: Path,
) -> None:
    layout = a_layout("cpu", directory=tmp_path)
    seeds = [
        replace(one, node=replace(one.node, name=f"_seed-1-{number}"), address=IPv4Address(0))
        for number, one in enumerate(layout.machines)
    ]
    text = vagrantfile(replace(layout, machines=tuple(seeds)))
    validate(tmp_path, text, name="Vagrantfile.seed")


def validate(folder: Path, text: str, *options: str, name: str = "Vagrantfile") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    (folder / "id_ed25519").touch()
    keep = {key: value for key, value in os.environ.items() if not key.startswith("VAGRANT")}
    own = {
        "VAGRANT_HOME": str(folder / "home"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_VAGRANTFILE": name,
    }
    result = subprocess.run(
        ["vagrant", "validate", *options],
        cwd=folder, env=keep | own, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


@needs_ruby
def test_each_libvirt_machine_has_its_size_its_mac_and_the_labs_network(tmp_path: Path) -> None:
    layout = a_layout()
    recorded = evaluated(vagrantfile(layout), tmp_path)
    assert list(recorded["machines"]) == [machine.node.name for machine in layout.machines]
    for machine in layout.machines:
        libvirt = recorded["machines"][machine.node.name]["providers"]["libvirt"]["set"]
        assert libvirt["cpus"] == machine.node.cpus
        assert libvirt["memory"] == machine.node.memory
        assert libvirt["management_network_mac"] == machine.mac
        assert libvirt["management_network_name"] == "lab-full"
        assert libvirt["management_network_address"] == "10.20.30.0/24"
        assert libvirt["management_network_keep"] is True
        assert libvirt["default_prefix"] + machine.node.name == machine.domain


@needs_ruby
def test_our_own_box_is_started_by_its_kernel_which_brings_name_and_key(tmp_path: Path) -> None:
    recorded = evaluated(vagrantfile(a_layout()), tmp_path)
    libvirt = recorded["machines"]["gpu-0"]["providers"]["libvirt"]["set"]
    assert (libvirt["kernel"], libvirt["initrd"]) == (BAKED.kernel, BAKED.initrd)
    *words, credential = libvirt["cmd_line"].split(" ", 5 + len(EMULATED))
    assert words == [
        "root=/dev/vda",
        "rw",
        "console=ttyS0",
        "quiet",
        *EMULATED,
        "systemd.hostname=gpu-0",
    ]
    assert credential == f'systemd.set_credential="ssh.authorized_keys.root:{KEY}"'
    assert len(libvirt["cmd_line"]) < 2048
    assert calls(recorded, "vm.provision") == []


@needs_ruby
def test_a_public_box_boots_by_itself_and_changes_vagrants_key_for_the_labs(tmp_path: Path) -> None:
    recorded = evaluated(vagrantfile(a_layout(box=PUBLIC)), tmp_path)
    assert "kernel" not in recorded["machines"]["gpu-0"]["providers"]["libvirt"]["set"]
    assert recorded["set"]["ssh.username"] == "vagrant"
    assert recorded["set"]["ssh.private_key_path"] == [
        "/srv/labs/.labctl/full/id_ed25519",
        "/vagrant-home/insecure_private_key",
    ]
    ((_, options),) = calls(recorded, "vm.provision")
    assert options["env"] == {"LAB_KEY": KEY}
    assert "> ~/.ssh/authorized_keys\n" in options["inline"]


@needs_ruby
def test_nothing_of_the_host_and_no_key_but_the_labs_gets_in(tmp_path: Path) -> None:
    recorded = evaluated(vagrantfile(a_layout()), tmp_path)
    assert recorded["set"]["ssh.insert_key"] is False
    assert recorded["set"]["vm.allow_hosts_modification"] is False
    assert calls(recorded, "vm.synced_folder") == [[[".", "/vagrant"], {"disabled": True}]]
    assert calls(recorded["machines"]["cpu-0"], "vm.network") == []


@needs_ruby
@pytest.mark.parametrize(("driver", "mode"), [("kvm", "host-model"), ("qemu", "custom")])
def test_the_cpu_is_one_that_the_driver_can_be(driver: str, mode: str, tmp_path: Path) -> None:
    recorded = evaluated(vagrantfile(a_layout(driver=driver)), tmp_path)
    libvirt = recorded["machines"]["cpu-0"]["providers"]["libvirt"]["set"]
    assert (libvirt["driver"], libvirt["cpu_mode"]) == (driver, mode)
    for word in EMULATED:
        assert (word in libvirt["cmd_line"]) == (driver == "qemu")


@needs_ruby
def test_virtualbox_gets_the_same_machines(tmp_path: Path) -> None:
    layout = a_layout(provider="virtualbox", box=PUBLIC)
    recorded = evaluated(vagrantfile(layout), tmp_path)
    for machine in layout.machines:
        node = recorded["machines"][machine.node.name]
        virtualbox = node["providers"]["virtualbox"]
        assert virtualbox["set"] == {
            "name": machine.domain,
            "cpus": machine.node.cpus,
            "memory": machine.node.memory,
            "gui": False,
            "linked_clone": True,
            "check_guest_additions": False,
        }
        assert calls(node, "vm.network") == [
            [
                ["private_network"],
                {
                    "ip": str(machine.address),
                    "netmask": "255.255.255.0",
                    "mac": machine.mac.replace(":", ""),
                },
            ]
        ]


@needs_ruby
@pytest.mark.parametrize("provider", ["libvirt", "virtualbox"])
def test_the_console_of_each_node_is_in_the_labs_logs(provider: str, tmp_path: Path) -> None:
    recorded = evaluated(vagrantfile(a_layout(provider=provider)), tmp_path)
    machine = recorded["machines"]["cpu-1"]["providers"][provider]
    assert "/srv/labs/.labctl/full/logs/console-cpu-1.log" in json.dumps(machine["called"])


@needs_ruby
def test_names_that_look_like_ruby_stay_names(tmp_path: Path) -> None:
    folder = tmp_path / "sub" / ODD.replace("/", "")
    layout = a_layout(directory=folder, box=replace(BAKED, name=ODD, version=ODD))
    recorded = evaluated(vagrantfile(layout), tmp_path)
    assert recorded["set"]["vm.box"] == ODD
    assert recorded["set"]["vm.box_version"] == ODD
    assert recorded["set"]["ssh.private_key_path"] == str(folder / "id_ed25519")
    assert ruby("a\\'b") == "'a\\\\\\'b'"


def test_a_command_line_that_the_kernel_would_cut_off_is_refused() -> None:
    with pytest.raises(BootError, match="would be cut off"):
        vagrantfile(a_layout(public_key="ssh-rsa " + "A" * 2000))


def test_the_longest_key_in_use_fits() -> None:
    assert "systemd.set_credential" in vagrantfile(a_layout(public_key="ssh-rsa " + "A" * 1400))
