"""`labctl up`: from wherever the lab is to the lab that is defined, and proven."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import show, show_lab
from labctl.cli.options import (
    CpuNodes,
    CpusPerNode,
    GpuNodes,
    GpusPerNode,
    Json,
    MemoryPerNode,
    NewName,
    OutputDir,
    Overrides,
    Provider,
    Source,
)
from labctl.cli.state import state, wanted

if TYPE_CHECKING:
    from labctl.lab import Lab, UpResult

EXAMPLES = (
    "labctl up",
    "labctl up mini-hpc --name tutorial",
    "labctl up ./my-lab.yml --set 'nodes.cpu-[0-1].memory=2048'",
    "labctl up full --cpu-nodes 4 --memory-per-node 2048",
    "labctl up full --dry-run",
)


def run(
    *,
    source: Source = "",
    name: NewName = "",
    overrides: Overrides = [],  # noqa: B006 - typer's way to say: none given
    cpu_nodes: CpuNodes = None,
    gpu_nodes: GpuNodes = None,
    cpus_per_node: CpusPerNode = None,
    gpus_per_node: GpusPerNode = None,
    memory_per_node: MemoryPerNode = None,
    provider: Provider = "auto",
    output_dir: OutputDir = Path(),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done; do nothing.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Test the lab, as is the default, or do not.")
    ] = True,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make every machine anew, and from no snapshot.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take nodes away on which jobs run; Slurm queues these again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create, start, converge and verify a lab, and save it; or bring it back as it was saved.

    Run again, it changes only what is not as defined.
    """
    from labctl.definition.sizes import Sizes  # noqa: PLC0415

    sizes = Sizes(cpu_nodes, gpu_nodes, cpus_per_node, gpus_per_node, memory_per_node)
    lab = wanted(source, name=name, overrides=overrides, sizes=sizes, provider=provider, folder=output_dir)
    if dry_run:
        _plan(lab, as_json=as_json, verify=verify, fresh=fresh)
        return
    result = lab.up(state.reporter(), verify=verify, fresh=fresh, force=force)
    if as_json:
        show.as_json(result)
    elif result.changed:
        _summary(result)
    else:
        seconds = sum(seconds for _, seconds in result.steps)
        print(f"{lab.name} is up and as defined: nothing changed ({seconds:.1f} s)")


def _plan(lab: Lab, *, as_json: bool, verify: bool, fresh: bool) -> None:
    actions = lab.plan(verify=verify, fresh=fresh)
    if as_json:
        show.as_json([{**asdict(action), "impact": action.impact} for action in actions])
    elif not actions:
        print(f"{lab.name} is up and as defined: nothing to do")
    else:
        show.table(
            ("action", "node", "impact", "why"),
            [(action.kind, action.node, action.impact, action.reason) for action in actions],
        )


def _summary(result: UpResult) -> None:
    show_lab.lab(result.status)
    print()
    show.waterfall(result.steps)
    if result.verify is not None:
        print(f"\n{show_lab.verified(result.verify)}")
    print()
    show_lab.next_commands(result.status)
