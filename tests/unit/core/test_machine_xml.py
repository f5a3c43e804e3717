"""A saved machine's description: fits where it is brought back, and reaches for nothing else of the host."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from labctl.errors import SnapshotError
from labctl.providers.base import Identity, Place
from labctl.providers.machine_xml import placed, resized

# As libvirt 9.0 says it of a machine that vagrant-libvirt made.
MACHINE = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>labctl_full_cpu-0</name>
  <uuid>80246e76-d27f-4a80-a901-96c8d0c3b8eb</uuid>
  <description>{&quot;lab&quot;: &quot;full&quot;, &quot;node&quot;: &quot;cpu-0&quot;, &quot;directory&quot;: &quot;/theirs/.labctl/full&quot;}</description>
  <memory unit='KiB'>1048576</memory>
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>
    <kernel>/theirs/pool/vmlinuz</kernel>
    <initrd>/theirs/pool/initrd</initrd>
    <cmdline>root=/dev/vda rw console=ttyS0 quiet systemd.hostname=cpu-0</cmdline>
    <boot dev='hd'/>
  </os>
  <features><acpi/><apic/><pae/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='allow'>qemu64</model></cpu>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='unsafe'/>
      <source file='/theirs/pool/labctl_full_cpu-0.img'/>
      <backingStore type='file'><format type='qcow2'/><source file='/theirs/pool/box.img'/></backingStore>
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/>
    </disk>
    <controller type='usb' index='0' model='none'/>
    <controller type='pci' index='0' model='pci-root'/>
    <controller type='virtio-serial' index='0'/>
    <interface type='network'>
      <mac address='52:54:00:a4:1c:1f'/>
      <source network='lc-theirs' portid='80246e76-d27f-4a80-a901-96c8d0c3b8ec' bridge='lc-theirs'/>
      <model type='virtio'/>
    </interface>
    <serial type='file'>
      <source path='/theirs/.labctl/full/logs/console-cpu-0.log'/>
      <target type='isa-serial' port='0'><model name='isa-serial'/></target>
    </serial>
    <console type='file'>
      <source path='/theirs/.labctl/full/logs/console-cpu-0.log'/>
      <target type='serial' port='0'/>
    </console>
    <channel type='unix'>
      <source mode='bind' path='/theirs/run/channel/target/org.qemu.guest_agent.0'/>
      <target type='virtio' name='org.qemu.guest_agent.0'/>
    </channel>
    <input type='mouse' bus='ps2'/>
    <input type='keyboard' bus='ps2'/>
    <audio id='1' type='none'/>
    <memballoon model='virtio'/>
    <rng model='virtio'><backend model='random'>/dev/random</backend></rng>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-global'/>
    <qemu:arg value='virtio-balloon-pci.free-page-reporting=on'/>
    <qemu:arg value='-global'/>
    <qemu:arg value='virtio-net-pci.guest_announce=off'/>
  </qemu:commandline>
</domain>
"""  # noqa: E501 - libvirt's own lines
PLACE = Place(
    lab="full",
    node="cpu-0",
    directory=Path("/ours/.labctl/full"),
    disk="/ours/pool/labctl_full_cpu-0.img",
    kernel="/ours/pool/vmlinuz",
    initrd="/ours/pool/initrd",
    network="lc-ours",
)
COPY = replace(
    PLACE,
    node="gpu-0",
    identity=Identity(
        name="labctl_full_gpu-0",
        uuid="11111111-2222-4333-8444-555555555555",
        mac="52:54:00:00:00:07",
        command_line='root=/dev/vda rw systemd.hostname=gpu-0 systemd.set_credential="a:<b>&"',
    ),
)


def machine(place: Place = PLACE, text: str = MACHINE) -> ET.Element:
    return ET.fromstring(placed(text, place))  # noqa: S314 - our own


def with_device(device: str) -> str:
    return MACHINE.replace("</devices>", f"{device}</devices>")


def test_nothing_of_the_other_host_is_left() -> None:
    assert MACHINE.count("theirs") == 10
    assert "theirs" not in placed(MACHINE, PLACE)


def test_everything_is_where_it_is_here() -> None:
    root = machine()
    told = json.loads(root.findtext("description", ""))
    assert told == {"lab": "full", "node": "cpu-0", "directory": "/ours/.labctl/full"}
    assert root.findtext("os/kernel") == "/ours/pool/vmlinuz"
    assert root.findtext("os/initrd") == "/ours/pool/initrd"
    assert [one.attrib for one in root.iterfind("devices/disk/source")] == [
        {"file": "/ours/pool/labctl_full_cpu-0.img"}
    ]
    assert root.find("devices/disk/backingStore") is None  # libvirt reads it from the disk itself
    assert [one.attrib for one in root.iterfind("devices/interface/source")] == [{"network": "lc-ours"}]
    for kind in ("serial", "console"):
        source = root.find(f"devices/{kind}/source")
        assert source is not None
        assert source.get("path") == "/ours/.labctl/full/logs/console-cpu-0.log"
    assert root.find("devices/channel/source") is None  # libvirt has a place of its own for it


def test_what_the_machine_itself_is_does_not_change() -> None:
    root = machine()
    assert root.findtext("uuid") == "80246e76-d27f-4a80-a901-96c8d0c3b8eb"
    assert root.findtext("memory") == "1048576"
    mac = root.find("devices/interface/mac")
    assert mac is not None
    assert mac.get("address") == "52:54:00:a4:1c:1f"
    assert len(list(root.iterfind("devices/*"))) == len(list(ET.fromstring(MACHINE).iterfind("devices/*")))  # noqa: S314


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own


def leaves(root: ET.Element, path: str = "") -> dict[str, str]:
    """All that is said, by where it is said."""
    found = {f"{path}@{name}": value for name, value in root.attrib.items()}
    if root.text and root.text.strip():
        found[path] = root.text
    for number, child in enumerate(root):
        found |= leaves(child, f"{path}/{child.tag}[{number}]")
    return found


def test_a_copy_is_who_it_is_told_and_else_the_machine_that_was_saved() -> None:
    kept, copied = leaves(machine(replace(COPY, identity=None))), leaves(machine(COPY))
    changed = {path.rpartition("/")[2]: copied[path] for path in kept if kept[path] != copied[path]}
    assert kept.keys() == copied.keys()
    assert changed == {
        "name[0]": "labctl_full_gpu-0",
        "uuid[1]": "11111111-2222-4333-8444-555555555555",
        "cmdline[3]": 'root=/dev/vda rw systemd.hostname=gpu-0 systemd.set_credential="a:<b>&"',
        "mac[0]@address": "52:54:00:00:00:07",
    }
    assert json.loads(machine(COPY).findtext("description", ""))["node"] == "gpu-0"


def test_a_copy_of_a_machine_that_boots_by_itself_gets_no_command_line() -> None:
    text = MACHINE.replace("<cmdline>", "<!--").replace("</cmdline>", "-->")
    assert machine(COPY, text).find("os/cmdline") is None


def test_what_labctl_itself_says_to_qemu_is_still_said_in_libvirts_way() -> None:
    text = placed(MACHINE, PLACE)
    assert 'xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0"' in text
    assert '<qemu:arg value="virtio-balloon-pci.free-page-reporting=on"' in text
    assert '<qemu:arg value="virtio-net-pci.guest_announce=off"' in text


def test_a_machine_that_was_saved_with_fewer_such_words_is_still_ours() -> None:
    word = "<qemu:arg value='-global'/>\n    <qemu:arg value='virtio-net-pci.guest_announce=off'/>"
    assert word in MACHINE
    assert "guest_announce" not in placed(MACHINE.replace(word, ""), PLACE)


def test_a_machine_that_boots_by_itself_gets_no_kernel() -> None:
    text = MACHINE.replace("<kernel>/theirs/pool/vmlinuz</kernel>", "").replace(
        "<initrd>/theirs/pool/initrd</initrd>", ""
    )
    root = machine(replace(PLACE, kernel=None, initrd=None), text)
    assert root.find("os/kernel") is None
    assert root.find("os/initrd") is None


def test_names_with_xml_in_them_are_but_names() -> None:
    odd = replace(PLACE, directory=Path("/a<b>&'c'\"d\"/full"), disk="/p/<&>.img")
    root = machine(odd)
    assert json.loads(root.findtext("description", ""))["directory"] == str(odd.directory)
    source = root.find("devices/disk/source")
    assert source is not None
    assert source.get("file") == odd.disk


_QEMU = "<qemu:commandline>{}</qemu:commandline></domain>"
_ARG = "<qemu:arg value='{}'/>"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (with_device("<hostdev mode='subsystem' type='pci'/>"), "hostdev pci"),
        (with_device("<disk type='block' device='disk'><source dev='/dev/sda'/></disk>"), "disk block"),
        (with_device("<disk type='network' device='disk'/>"), "disk network"),
        (with_device("<filesystem type='mount'><source dir='/'/><target dir='x'/></filesystem>"), "filesystem mount"),
        (with_device("<serial type='dev'><source path='/dev/ttyS0'/></serial>"), "serial dev"),
        (with_device("<console type='pty'/>"), "console pty"),
        (with_device("<channel type='file'><source path='/etc/shadow'/></channel>"), "channel file"),
        (with_device("<interface type='bridge'><source bridge='br0'/></interface>"), "interface bridge"),
        (with_device("<interface type='ethernet'><script path='/x'/></interface>"), "interface ethernet"),
        (with_device("<graphics type='vnc' listen='0.0.0.0'/>"), "graphics vnc"),
        (with_device("<tpm model='tpm-tis'/>"), "tpm"),
        (with_device("<emulator>/home/evil</emulator>"), "/home/evil"),
        (MACHINE.replace("/usr/bin/qemu-system-x86_64", "/usr/../home/evil"), "/usr/../home/evil"),
        (MACHINE.replace(">/dev/random<", ">/etc/shadow<"), "/etc/shadow"),
        (MACHINE.replace("</domain>", _QEMU.format(_ARG.format("-device"))), "commandline"),
        (MACHINE.replace("</qemu:commandline>", "<qemu:arg value='-x'/></qemu:commandline>"), "commandline"),
        (MACHINE.replace("</qemu:commandline>", "<qemu:env name='A' value='/x'/></qemu:commandline>"), "commandline"),
        (MACHINE.replace("'-global'", "'-drive'"), "commandline"),
        (MACHINE.replace("</domain>", "<x:y xmlns:x='urn:x'/></domain>"), "urn:x"),
        (with_device("<serial type='file'><log file='/etc/passwd'/></serial>"), "log"),
        (MACHINE.replace("<boot dev='hd'/>", "<loader>/theirs/firmware</loader>"), "loader"),
        (MACHINE.replace("<boot dev='hd'/>", "<nvram>/etc/passwd</nvram>"), "nvram"),
    ],
)  # fmt: skip
def test_what_no_machine_of_a_lab_has_is_refused_by_its_name(text: str, what: str) -> None:
    assert text != MACHINE
    with pytest.raises(SnapshotError, match="not of a machine that labctl made") as refused:
        placed(text, PLACE)
    assert what in refused.value.why


def test_all_that_is_strange_is_said_at_once() -> None:
    with pytest.raises(SnapshotError) as refused:
        placed(with_device("<hostdev/><tpm/><tpm/>"), PLACE)
    assert refused.value.why == "it has hostdev, tpm"


def test_another_size_changes_the_size_and_nothing_else() -> None:
    topology = "<cpu mode='custom'><topology sockets='1' cores='2' threads='1'/></cpu>"
    sizes = "<memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>1</currentMemory>"
    cpus = "<vcpu placement='static' current='1'>2</vcpu>"
    root = parsed(resized(f"<domain>{sizes}{cpus}{topology}</domain>", 4, 2048))
    found = [root.find(path) for path in ("memory", "currentMemory", "vcpu")]
    assert [(one.text, one.attrib) for one in found if one is not None] == [
        ("2048", {"unit": "MiB"}),
        ("2048", {"unit": "MiB"}),
        ("4", {"placement": "static"}),
    ]
    assert root.find("cpu/topology") is None
    before, after = parsed(MACHINE), parsed(resized(MACHINE, 2, 1024))
    assert [one.tag for one in before.iter()] == [one.tag for one in after.iter()]
    assert after.findtext("memory") == "1024"
