"""What the report of a verify run tells beside the results; nothing of it is asked of the machines."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata

from labctl import __version__, timings
from labctl.definition.models import Definition
from labctl.files import LabFiles, Record
from labctl.providers.base import Provider
from labctl.render.graph.topology import topology
from labctl.render.report.page import About
from labctl.timings import Timings

_THOUSANDS = 1000


def about(definition: Definition, files: LabFiles, provider: Provider, running: Timings) -> About:
    """The lab, the time that went into it and the versions of what made it.

    Args:
        definition: what the lab shall be.
        files: its own.
        provider: who made its machines.
        running: the times of the command that verifies it; those of the last `up` are told if it is none.
    """
    record = files.record()
    taken = running.taken if running.steps else timings.read(files.timings)
    machinery = f"{record.provider} ({record.driver})" if record.driver else record.provider
    return About(
        topology=topology(
            definition,
            about=machinery,
            network=record.network.get("subnet", ""),
            addresses=record.addresses,
        ),
        steps=taken.steps,
        part_of_up=bool(running.steps),
        tasks=taken.tasks,
        versions=dict(_versions(record, provider)),
    )


def _versions(record: Record, provider: Provider) -> Iterator[tuple[str, str]]:
    yield "labctl", __version__
    yield "box", record.image.get("name", "")
    if provider.saver:
        facts = provider.saver.facts()
        yield "QEMU", _dotted(facts["qemu"])
        yield "libvirt", _dotted(facts["libvirt"])
    yield "Ansible", metadata.version("ansible-core")
    yield "Mitogen", metadata.version("mitogen")
    yield "Python", platform.python_version()


def _dotted(number: str) -> str:
    """A version as libvirt counts: 7002022 is 7.2.22."""
    rest, release = divmod(int(number), _THOUSANDS)
    return ".".join(map(str, (*divmod(rest, _THOUSANDS), release)))
