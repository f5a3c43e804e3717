"""Who makes machines."""

from __future__ import annotations

from labctl import words
from labctl.definition import shipped
from labctl.errors import BoxError, HostError
from labctl.process import installed
from labctl.providers.base import Provider
from labctl.render.layout import BoxImage
from labctl.render.layout import Provider as Name

#: The daemon that answers to libvirt's clients: one for all, or that for QEMU where they are several.
LIBVIRT = ("libvirtd", "virtqemud")


def which(wanted: str) -> Name:
    """The provider that is meant by libvirt, virtualbox, or auto: libvirt where it is installed, else VirtualBox."""
    alone = installed("VBoxManage") and not any(map(installed, LIBVIRT))
    return "virtualbox" if wanted == "virtualbox" or (wanted == "auto" and alone) else "libvirt"


def there() -> tuple[Name, ...]:
    """All providers that may have machines on this host; libvirt where nothing is installed."""
    first = which("auto")
    other: tuple[Name, ...] = ("virtualbox",) if first == "libvirt" and installed("VBoxManage") else ()
    return (first, *other)


def choose(wanted: str) -> Provider:
    """The provider of a lab.

    Args:
        wanted: libvirt, virtualbox or auto; see `which`.

    Raises:
        HostError: it is not there or does not answer.
    """
    if which(wanted) == "virtualbox":
        from labctl.providers.virtualbox import VirtualBoxProvider  # noqa: PLC0415 - only the chosen one is loaded

        return VirtualBoxProvider()
    try:
        from labctl.providers.through_libvirt import LibvirtProvider  # noqa: PLC0415
    except ImportError as error:
        raise HostError("libvirt's library is missing", why=str(error), hint="make setup") from error
    return LibvirtProvider()


def public_image(name: str) -> BoxImage:
    """A box that labctl did not build: it boots by itself, and the roles install what they need.

    Raises:
        BoxError: it cannot be a public box's name.
    """
    if "/" not in name:
        raise BoxError(
            f"there is no box {name!r}",
            why="labctl builds none of that name, and the boxes of others are named OWNER/BOX",
            hint=words.hint(name, shipped.boxes(), "labctl box list"),
        )
    return BoxImage(name=name, user="vagrant", baked=False)
