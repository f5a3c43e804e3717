"""What this host can do: the probes behind `labctl doctor` and `labctl up`, each with what mends it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from labctl import providers
from labctl.definition.models import Definition
from labctl.errors import HostError
from labctl.host import leftovers, network, programs, room, virtualisation
from labctl.host.check import Check
from labctl.host.repair import fix

__all__ = ["Check", "checks", "fix", "require"]


def checks(definition: Definition, taken: Mapping[str, int] = room.NOTHING) -> tuple[Check, ...]:
    """All checks of this host, and whether the whole lab fits; ``taken`` is as for `require`."""
    provider = providers.which(definition.provider)
    fits = [
        room.memory(definition, provider, taken),
        room.cpus(definition),
        room.disk(definition, provider, taken),
        room.open_files(definition),
    ]
    if provider == "virtualbox":
        return (programs.for_virtualbox(), *fits)
    answers = virtualisation.libvirt()
    return (
        programs.for_libvirt(),
        programs.vagrant(),
        programs.plugin(),
        virtualisation.membership(),
        answers,
        virtualisation.accelerator(),
        *fits,
        room.watches(),
        network.firewall(),
        network.forwarding(),
        *([network.subnet(definition), leftovers.leftovers()] if answers.ok else []),
    )


def require(
    definition: Definition,
    provider: str = "auto",
    taken: Mapping[str, int] = room.NOTHING,
    made: Collection[str] = (),
) -> None:
    """Refuse a lab that this host cannot run, before anything is touched.

    Args:
        definition: the whole lab.
        provider: libvirt, virtualbox or auto.
        taken: MiB of each node that has its memory already, or needs none.
        made: the nodes that have a disk already.

    Raises:
        HostError: with everything that is missing.
    """
    provider = providers.which(provider)
    there = (
        [programs.for_virtualbox()]
        if provider == "virtualbox"
        else [programs.for_libvirt(), virtualisation.libvirt()]
    )
    found = [*there, room.memory(definition, provider, taken), room.disk(definition, provider, made)]
    bad = [check for check in found if check.ok is False]
    if bad:
        raise HostError(
            "this host cannot run the lab",
            why="\n".join(f"{check.name}: {check.detail}" for check in bad),
            hint="\n".join(dict.fromkeys(check.fix for check in bad if check.fix)),
        )
