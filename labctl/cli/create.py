"""`labctl create`: the files of a lab, and nothing else."""

from __future__ import annotations

from pathlib import Path

from labctl.cli.options import (
    CpuNodes,
    CpusPerNode,
    GpuNodes,
    GpusPerNode,
    MemoryPerNode,
    NewName,
    OutputDir,
    Overrides,
    Provider,
    Source,
)
from labctl.cli.state import state, wanted

EXAMPLES = (
    "labctl create full",
    "labctl create ./my-lab.yml --name play",
    "labctl create multi-node --cpu-nodes 4 --output-dir ~/clusters",
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
) -> None:
    """Write a lab's files (Vagrantfile, inventory, ssh_config) and start nothing."""
    from labctl.definition.sizes import Sizes  # noqa: PLC0415

    sizes = Sizes(cpu_nodes, gpu_nodes, cpus_per_node, gpus_per_node, memory_per_node)
    lab = wanted(source, name=name, overrides=overrides, sizes=sizes, provider=provider, folder=output_dir)
    lab.create(state.reporter())
    print(lab.directory)
