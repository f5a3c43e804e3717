"""What a lab refuses to do, why, and what to do instead. Nothing is touched here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labctl import rotation
from labctl.definition.models import Definition
from labctl.errors import DefinitionError, HostError, LabError, SnapshotError, UsageError
from labctl.files import LabFiles, Record, definition_key
from labctl.plan import Action, Shape
from labctl.providers.base import Found
from labctl.rotation import Kind

if TYPE_CHECKING:
    from labctl.snapshots import Snapshot


def unfit_host(
    definition: Definition,
    provider: str,
    shapes: Mapping[str, Shape],
    found: Callable[[], Sequence[Found]],
    started: Collection[str],
) -> None:
    """Refuse what this host cannot run; if it cannot even be asked, say all that it lacks.

    Args:
        definition: the whole lab.
        provider: libvirt, virtualbox or auto.
        shapes: what each machine was made with.
        found: asks the host for the machines of the lab.
        started: the nodes that shall run; all others stay as they are.
    """
    from labctl import host  # noqa: PLC0415 - all that doctor looks at comes with it

    try:
        machines = found()
    except HostError:
        host.require(definition, provider)
        raise
    others = {node.name for node in definition.machines()}.difference(started)
    memory = taken(definition, shapes, others | in_memory(machines))
    host.require(definition, provider, memory, [machine.node for machine in machines])


def in_memory(machines: Sequence[Found]) -> set[str]:
    """The nodes that have their memory already: one that is suspended keeps it."""
    return {machine.node for machine in machines if machine.state in ("running", "suspended")}


def taken(definition: Definition, shapes: Mapping[str, Shape], up: Collection[str]) -> dict[str, int]:
    """MiB that these nodes have already, as they were made."""
    return {
        node.name: shapes[node.name].memory if node.name in shapes else node.memory
        for node in definition.machines()
        if node.name in up
    }


def without_playbooks(definition: Definition) -> None:
    """A lab may outlive the playbooks that its definition names."""
    gone = [path for path in definition.playbooks if not Path(path).is_file()]
    if gone:
        raise DefinitionError(
            f"there is no playbook {', '.join(gone)}",
            why=f"the definition of {definition.name} names it",
            hint="labctl up FILE, with the definition as it is now",
        )


def foreign(lab: str, directory: Path, machines: Sequence[Found]) -> None:
    """Two folders cannot have a lab of one name: its machines tell which one they are of."""
    for machine in machines:
        other = Path(machine.directory)
        if machine.directory and other.resolve() != directory.resolve() and other.exists():
            raise LabError(
                f"there is a lab {lab} already, of another folder",
                why=f"its files are in {machine.directory}",
                hint="choose another name with --name, or work from that folder",
            )


def moving(lab: str, wanted: str, record: Record, machines: Sequence[Found]) -> None:
    """The addresses of machines are on their disks."""
    subnet = record.network.get("subnet", "")
    if subnet and wanted not in ("auto", subnet) and machines:
        raise LabError(
            f"the network of the lab {lab} is {subnet} and cannot become {wanted}",
            why="its machines have their addresses in it",
            hint=f"labctl destroy {lab}, then labctl up again",
        )


def replacing(lab: str, origin: str, record: Record, actions: Sequence[Action]) -> None:
    """Whoever gives a definition a name that another lab has may not know it; whoever edits one does.

    Args:
        lab: its name.
        origin: the name in the definition that it shall become.
        record: of the lab that is there.
        actions: what would be done to it.
    """
    known = record.origin
    doomed = [action.node for action in actions if action.kind in ("remove", "recreate")]
    if doomed and known and origin not in (lab, known):
        raise LabError(
            f"there is a lab {lab} already, made from {known} and not from {origin}",
            why=f"its machines would go, and all that is on them: {', '.join(doomed)}",
            hint=f"choose another --name, or labctl destroy {lab} first",
        )


def made_anew(lab: str, record: Record, actions: Sequence[Action]) -> None:
    """Whoever wants a node more does not think of what else has changed, such as the box that all stand on.

    Args:
        lab: its name.
        record: of the lab; what was cut off in between may be made anew.
        actions: what would be done to it.
    """
    doomed = [one for one in actions if one.kind == "recreate" and one.node not in record.copying]
    if doomed and not record.restoring:
        raise LabError(
            f"machines of {lab} would be made anew, and what is on them lost: "
            + ", ".join(one.node for one in doomed),
            why=f"{doomed[0].node}: {doomed[0].reason}",
            hint=f"if that is what you want: labctl up --name {lab}, then the same again",
        )


def without_files(lab: str, files: LabFiles) -> UsageError:
    """What to say of a lab of which only the machines are left."""
    return UsageError(
        f"the files of the lab {lab} are gone",
        why=f"{files.definition} is missing, so what the lab shall be is not known",
        hint=f"labctl up FILE --name {lab} writes them anew, labctl destroy {lab} removes the lab",
    )


def never_made(lab: str, record: Record) -> None:
    """Nobody knows where the machines of such a lab would be."""
    if not record.network:
        raise UsageError(f"the lab {lab} was never made", hint=f"labctl up --name {lab}")


def unmade_servers(lab: str, definition: Definition, record: Record) -> None:
    """A `lab.yml` that was edited may name nodes that were never made; a lab does without those that only compute."""
    unmade = [node for node in definition.machines() if node.name not in record.addresses]
    servers = [node.name for node in unmade if set(node.roles) != {"slurmd"}]
    if servers:
        raise LabError(
            f"{', '.join(servers)} of {lab} has no machine",
            why="lab.yml names it, and nothing was made of that yet",
            hint=f"labctl up --name {lab} makes it (--dry-run says what else), or undo the change of lab.yml",
        )


def without_machine(lab: str, nodes: Sequence[str], machines: Sequence[Found]) -> None:
    """What is not there can be neither started nor stopped."""
    made = {machine.node for machine in machines}
    missing = [node for node in nodes if node not in made]
    if missing:
        raise LabError(f"{', '.join(missing)} of {lab} has no machine", hint=f"labctl up --name {lab}")


def unreachable(lab: str, node: str, record: Record, machine: Found | None) -> LabError | None:
    """Why nobody gets into a node; None if its machine runs."""
    if machine is None:
        made = node in record.addresses
        return LabError(
            f"{node} of {lab} has no machine",
            why="it had one, which is gone" if made else "lab.yml names it, and nothing was made of that yet",
            hint=f"labctl up --name {lab} makes it (--dry-run says what else)",
        )
    hints = {
        "stopped": f"labctl start {lab} --nodes {node}",
        "suspended": f"labctl resume {lab} --nodes {node}",
        "crashed": f"labctl up --name {lab}",
    }
    if machine.state not in hints:
        return None
    return LabError(
        f"{node} of {lab} cannot be reached", why=f"it is {machine.state}", hint=hints[machine.state]
    )


def not_running(lab: str, definition: Definition, running: Collection[str]) -> None:
    """The playbooks and the suite need every node."""
    down = sorted({node.name for node in definition.machines()} - set(running))
    if down:
        raise LabError(
            f"not running: {', '.join(down)}", hint=f"labctl up --name {lab}, or labctl start {lab}"
        )


def edited(lab: str, definition: Definition, record: Record) -> None:
    """The inventory is of the definition of before; to take it for that of now, `up` would find nothing left to do."""
    if record.definition and record.definition != definition_key(definition):
        raise LabError(
            f"lab.yml is not what the lab {lab} was last made from",
            why="what its nodes are told was written from that",
            hint=f"labctl up --name {lab} does what has changed (--dry-run says what), or undo the change",
        )


def not_rotatable(lab: str, kind: Kind, definition: Definition, record: Record, *, authority: bool) -> None:
    """A secret can be replaced that labctl has made, in a lab that is whole."""
    if authority and kind != "tls":
        raise UsageError(f"a new authority is no part of {kind}", hint="labctl rotate tls --authority")
    if kind == "jwt" and not definition.services.rest:
        raise UsageError(
            f"{lab} has no key of tokens",
            why="tokens are for the REST daemon, and it has none",
            hint=f"labctl up --name {lab} --set services.rest=true",
        )
    if variable := rotation.given(kind, definition):
        raise UsageError(
            f"labctl did not make {rotation.NAMES[kind]} of {lab}",
            why=f"the definition says {variable} itself",
            hint=f"change it there, then labctl up --name {lab}",
        )
    if not record.converged:
        raise LabError(f"{lab} was never converged to its end", hint=f"labctl up --name {lab}")


def former_secrets(saved: Snapshot, replaced: Collection[str]) -> None:
    """Nobody wants a secret back that was replaced for a reason, unless that is said."""
    if replaced:
        raise SnapshotError(
            f"the snapshot {saved.name} has secrets that were replaced since: {', '.join(replaced)}",
            why="with it the old ones would count again",
            hint=f"labctl snapshot save NAME makes another point to go back to; labctl snapshot restore {saved.name} "
            "brings the old secrets back",
        )
