"""A lab as people want to see it: its nodes, its partitions, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from labctl.cli.show import duration, screen, table

if TYPE_CHECKING:
    from labctl.lab import LabStatus
    from labctl.steps.verify import VerifyResult


def headline(status: LabStatus) -> str:
    """The lab in one line."""
    up = f"up {duration(status.uptime_seconds)}" if status.uptime_seconds else ""
    parts = (status.state, up, f"{status.provider} ({status.driver})", str(status.network))
    return f"{status.name}: " + ", ".join(part for part in parts if part)


def lab(status: LabStatus) -> None:
    """Print a lab's nodes, partitions and problems."""
    out = screen()
    out.print(Text(headline(status), style="bold"))
    out.print()
    table(
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
    if status.partitions:
        out.print()
        table(
            ("partition", "nodes", "max time"),
            [
                (part.name + ("*" if part.default else ""), part.nodes, part.max_time or "")
                for part in status.partitions
            ],
        )
    for problem in status.problems:
        out.print(Text.assemble(("problem: ", "bold red"), problem))


def verified(result: VerifyResult) -> str:
    """A verify run in one line."""
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    failed = f", {result.failed} failed" if result.failed else ""
    return f"verified: {result.passed} tests passed{failed}{skipped} in {result.seconds:.1f} s"


def next_commands(status: LabStatus) -> None:
    """Print what one can do with a lab that is up."""
    controller = next((node.name for node in status.nodes if "slurmctld" in node.roles), status.nodes[0].name)
    name = f" --name {status.name}"
    lines = (
        (f"labctl ssh{name} {controller} -- sinfo", "the cluster as Slurm sees it"),
        (f"labctl ssh{name} {controller}", "a shell on the controller"),
        (f"labctl exec{name} all -- uptime", "a command on every node"),
        (f"labctl stop {status.name}", "shut the machines down, keep their state"),
        (f"labctl destroy {status.name}", "remove everything"),
    )
    width = max(len(command) for command, _ in lines)
    screen().print(Text("next:", style="bold"))
    for command, meaning in lines:
        screen().print(Text.assemble("  ", (command.ljust(width), "cyan"), f"  {meaning}"))
