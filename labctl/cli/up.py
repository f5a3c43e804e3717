"""`labctl up`: from wherever the lab is to the lab that is defined, and proven."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli import bring_up
from labctl.cli.options import (
    CpuNodes,
    CpusPerNode,
    DryRun,
    Force,
    GpuNodes,
    GpusPerNode,
    Json,
    MemoryPerNode,
    NewName,
    OutputDir,
    Overrides,
    Provider,
    Source,
    Verify,
)
from labctl.cli.state import wanted

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
    dry_run: DryRun = False,
    verify: Verify = True,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make every machine anew, and from no snapshot.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Create, start, converge and verify a lab, and save it; or bring it back as it was saved.

    Run again, it changes only what is not as defined.
    """
    from labctl.definition.sizes import Sizes  # noqa: PLC0415

    sizes = Sizes(cpu_nodes, gpu_nodes, cpus_per_node, gpus_per_node, memory_per_node)
    lab = wanted(source, name=name, overrides=overrides, sizes=sizes, provider=provider, folder=output_dir)
    bring_up.bring_up(lab, dry_run=dry_run, verify=verify, fresh=fresh, force=force, as_json=as_json)
