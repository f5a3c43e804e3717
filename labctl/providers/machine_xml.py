"""A saved machine's description, made to fit where it is brought back. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from labctl.errors import SnapshotError
from labctl.providers.base import Identity, Place

#: What a machine of a lab is made of, with the types that it may have. Anything else, in a snapshot from elsewhere,
#: could reach into the host.
_DEVICES: dict[str, set[str | None]] = {
    "emulator": {None},
    "disk": {"file"},
    "controller": {"usb", "pci", "virtio-serial", "ide", "scsi", "sata", "fdc"},
    "interface": {"network"},
    "serial": {"file"},
    "console": {"file"},
    "channel": {"unix"},
    "input": {"mouse", "keyboard"},
    "memballoon": {None},
    "rng": {None},
    "audio": {"none"},
}
_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
#: What Vagrantfile.j2 hands to QEMU beside libvirt's own words.
QEMU_WORDS = (
    *("-global", "virtio-balloon-pci.free-page-reporting=on"),
    *("-global", "virtio-net-pci.guest_announce=off"),
)
_SYSTEM = "/usr/"  # where emulators are
#: What names a file of the host and is in no machine of a lab.
_STRANGE = ("os/loader", "os/nvram", "os/dtb", "devices/*/log", "devices/disk/mirror")
_ENTROPY = {"/dev/random", "/dev/urandom"}


def placed(text: str, place: Place) -> str:
    """Libvirt's XML of a saved machine, with every path of the host as it is here, and as who it is from now on.

    Raises:
        SnapshotError: it has something that no machine of a lab has.
    """
    ET.register_namespace("qemu", _QEMU)  # libvirt looks for the prefix as well
    root = ET.fromstring(text)  # noqa: S314 - checked below, and libvirt parses it again
    _check(root)
    _set(
        root,
        "description",
        json.dumps({"lab": place.lab, "node": place.node, "directory": str(place.directory)}),
    )
    if place.identity:
        _identify(root, place.identity)
    _set(root, "os/kernel", place.kernel)
    _set(root, "os/initrd", place.initrd)
    for disk in root.iterfind("devices/disk"):
        for name in ("backingStore", "source"):
            for old in disk.findall(name):
                disk.remove(old)
        ET.SubElement(disk, "source", {"file": place.disk})
    for interface in root.iterfind("devices/interface/source"):
        interface.attrib = {"network": place.network}
    console = str(place.directory / "logs" / f"console-{place.node}.log")
    for source in _console_sources(root):
        source.set("path", console)
    for channel in root.iterfind("devices/channel"):  # libvirt finds a path of its own
        for old in channel.findall("source"):
            channel.remove(old)
    return ET.tostring(root, encoding="unicode")


def resized(text: str, cpus: int, memory: int) -> str:
    """Libvirt's XML of a machine with so many CPUs and so much memory, in MiB."""
    ET.register_namespace("qemu", _QEMU)
    root = ET.fromstring(text)  # noqa: S314 - libvirt's own words
    for path in ("memory", "currentMemory"):
        for element in root.iterfind(path):
            element.text, element.attrib = str(memory), {"unit": "MiB"}
    for element in root.iterfind("vcpu"):
        element.text = str(cpus)
        element.attrib.pop("current", None)
    for topology in root.findall("cpu/topology"):  # it multiplies to what the number was before
        root.find("cpu").remove(topology)  # type: ignore[union-attr]
    return ET.tostring(root, encoding="unicode")


def _identify(root: ET.Element, identity: Identity) -> None:
    _set(root, "name", identity.name)
    _set(root, "uuid", identity.uuid)
    _set(root, "os/cmdline", identity.command_line)
    for mac in root.iterfind("devices/interface/mac"):
        mac.set("address", identity.mac)


def _console_sources(root: ET.Element) -> Iterator[ET.Element]:
    for kind in ("serial", "console"):
        for device in root.iterfind(f"devices/{kind}[@type='file']"):
            yield from device.iterfind("source")


def _set(root: ET.Element, path: str, text: str | None) -> None:
    element = root.find(path)
    if element is not None and text is not None:
        element.text = text


def _check(root: ET.Element) -> None:
    strange = [child.tag for child in root if child.tag.startswith("{") and not _is_ours(child)]
    strange += [
        f"{device.tag} {device.get('type', '')}".strip()
        for device in root.iterfind("devices/*")
        if device.get("type") not in _DEVICES.get(device.tag, set())
    ]
    strange += [element.tag for path in _STRANGE for element in root.iterfind(path)]
    strange += [
        text
        for text in _texts(root, "devices/emulator")
        if not text.startswith(_SYSTEM) or ".." in text.split("/")
    ]
    strange += [text for text in _texts(root, "devices/rng/backend") if text not in _ENTROPY]
    if strange:
        raise SnapshotError(
            "the snapshot is not of a machine that labctl made",
            why=f"it has {', '.join(sorted(set(strange)))}",
        )


def _is_ours(extra: ET.Element) -> bool:
    """Whether an element beside libvirt's own has nothing but the words that labctl itself hands to QEMU."""
    return extra.tag == f"{{{_QEMU}}}commandline" and {part.get("value") for part in extra} <= {*QEMU_WORDS}


def _texts(root: ET.Element, path: str) -> Iterator[str]:
    return (element.text or "" for element in root.iterfind(path))
