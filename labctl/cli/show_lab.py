"""A lab as people want to see it: its nodes, its partitions, and what to type next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.text import Text

from labctl.cli.show import columns, duration, screen

if TYPE_CHECKING:
    from labctl.services import ServiceStatus
    from labctl.status import LabStatus
    from labctl.steps.verify import VerifyResult


def headline(status: LabStatus) -> str:
    """The lab in one line."""
    up = f"up {duration(status.uptime_seconds)}" if status.uptime_seconds else ""
    parts = (status.state, up, f"{status.provider} ({status.driver})", str(status.network))
    return f"{status.name}: " + ", ".join(part for part in parts if part)


def lab(status: LabStatus) -> None:
    """Print a lab's nodes, partitions and problems."""
    _print(_lines(status, _nodes(status), _partitions(status)))


def whole(status: LabStatus) -> list[Text]:
    """All that is known of a lab, line by line: its services and the ways into it as well."""
    return _lines(status, _nodes(status), _partitions(status), _services(status), _connect(status))


def all_of(status: LabStatus) -> None:
    """Print that."""
    _print(whole(status))


def _print(lines: Iterable[Text]) -> None:
    out = screen()
    for line in lines:
        out.print(line)


def _lines(status: LabStatus, *parts: list[Text]) -> list[Text]:
    lines = [Text(headline(status), style="bold")]
    lines += [line for part in parts if part for line in (Text(), *part)]
    for problem, hint in zip(status.problems, status.hints, strict=True):
        lines.append(Text.assemble(("problem: ", "bold red"), problem))
        lines.append(Text.assemble(("try:     ", "bold cyan"), hint))
    return lines


def _nodes(status: LabStatus) -> list[Text]:
    return columns(
        ("node", "address", "roles", "cpus", "memory", "gpus", "state", "slurm", "reason"),
        [
            (
                node.name,
                node.address,
                ",".join(node.roles),
                node.cpus,
                f"{node.memory} MiB",
                node.gpus or "",
                node.state,
                node.slurm,
                node.reason,
            )
            for node in status.nodes
        ],
    )


def _partitions(status: LabStatus) -> list[Text]:
    return columns(
        ("partition", "nodes", "max time"),
        [
            (part.name + ("*" if part.default else ""), part.nodes, part.max_time or "")
            for part in status.partitions
        ],
    )


def _services(status: LabStatus) -> list[Text]:
    """A line for each service and state; its address where that is one."""
    from labctl.definition.hostlist import fold  # noqa: PLC0415 - ClusterShell comes with it

    found: dict[tuple[str, str], list[ServiceStatus]] = {}
    for service in status.services:
        found.setdefault((service.name, service.state), []).append(service)
    return columns(
        ("service", "nodes", "state", "address"),
        [
            (
                name,
                fold([one.node for one in members]),
                state,
                members[0].address if len(members) == 1 else "",
            )
            for (name, state), members in found.items()
        ],
    )


def _connect(status: LabStatus) -> list[Text]:
    return [
        Text.assemble("connect: " if line == status.connect[0] else " " * 9, (line, "cyan"))
        for line in status.connect
    ]


def verified(result: VerifyResult) -> str:
    """A verify run in one line."""
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    failed = f", {result.failed} failed" if result.failed else ""
    return f"verified: {result.passed} tests passed{failed}{skipped} in {result.seconds:.1f} s"


def next_commands(status: LabStatus) -> None:
    """Print what one can do with a lab that is up."""
    from labctl.render.login import entrance  # noqa: PLC0415 - only where a lab is shown

    door = min(status.nodes, key=lambda node: entrance(node.roles))
    where = "the login node" if "login" in door.roles else "the controller"
    name = f" --name {status.name}"
    lines = (
        (f"labctl ssh{name} {door.name} -- sinfo", "the cluster as Slurm sees it"),
        (f"labctl ssh{name} {door.name}", f"a shell on {where}"),
        *(
            [(f"labctl open{name} jupyter", "notebooks that are jobs, in a browser")]
            if any("jupyterhub" in node.roles for node in status.nodes)
            else []
        ),
        (f"labctl exec{name} all -- uptime", "a command on every node"),
        (f"labctl stop {status.name}", "shut the machines down, keep their state"),
        (f"labctl destroy {status.name}", "remove everything"),
    )
    width = max(len(command) for command, _ in lines)
    screen().print(Text("next:", style="bold"))
    for command, meaning in lines:
        screen().print(Text.assemble("  ", (command.ljust(width), "cyan"), f"  {meaning}"))
