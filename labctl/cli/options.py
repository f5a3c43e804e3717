"""Options and arguments that several commands take; each means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from labctl.cli import completion

Source = Annotated[
    str,
    typer.Argument(
        metavar="[PRESET|FILE]",
        help="A preset, a definition file, or the name of an existing lab. Default: full.",
        autocompletion=completion.sources,
        show_default=False,
    ),
]
NewName = Annotated[
    str, typer.Option("--name", metavar="NAME", help="Name of the lab. Default: the definition's.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change the definition; again for more. Such as nodes.cpu-0.memory=2048.",
    ),
]
Provider = Annotated[
    Literal["auto", "libvirt", "virtualbox"],
    typer.Option("--provider", metavar="NAME", help="auto, libvirt or virtualbox."),
]
OutputDir = Annotated[
    Path,
    typer.Option(
        "--output-dir",
        metavar="DIR",
        file_okay=False,
        help="Write the lab's files to .labctl/ in this folder, which is made. Default: where you are.",
    ),
]
CpuNodes = Annotated[
    int | None,
    typer.Option("--cpu-nodes", metavar="COUNT", min=0, help="How many nodes compute without GPUs."),
]
GpuNodes = Annotated[
    int | None, typer.Option("--gpu-nodes", metavar="COUNT", min=0, help="How many nodes have GPUs.")
]
CpusPerNode = Annotated[
    int | None,
    typer.Option("--cpus-per-node", metavar="COUNT", min=1, help="CPUs of each node that computes."),
]
GpusPerNode = Annotated[
    int | None, typer.Option("--gpus-per-node", metavar="COUNT", min=1, help="GPUs of each node with GPUs.")
]
MemoryPerNode = Annotated[
    int | None,
    typer.Option(
        "--memory-per-node", metavar="MIB", min=1, help="Memory of each node that computes, in MiB."
    ),
]
WithRegistry = Annotated[
    bool,
    typer.Option("--with-registry", help="A registry of container images as well: services.registry=true."),
]
WithContainers = Annotated[
    bool,
    typer.Option("--with-containers", help="Jobs in OCI containers as well: services.containers=true."),
]
WithPyxis = Annotated[
    bool,
    typer.Option(
        "--with-pyxis",
        help="Jobs in containers by Pyxis and enroot as well, which this host fetches: services.pyxis=true.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done; do nothing.")]
Verify = Annotated[
    bool, typer.Option("--verify/--no-verify", help="Test the lab, as is the default, or do not.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Take nodes away on which jobs run; Slurm queues these again.")
]

LabArgument = Annotated[
    str,
    typer.Argument(
        metavar="[LAB]",
        help="Name of the lab. Default: the only one there is.",
        autocompletion=completion.labs,
        show_default=False,
    ),
]
LabName = Annotated[
    str,
    typer.Option(
        "--name",
        "--lab",
        metavar="LAB",
        help="Name of the lab. Default: the only one there is.",
        autocompletion=completion.labs,
    ),
]
Nodes = Annotated[
    str,
    typer.Option(
        "--nodes",
        metavar="NODES",
        help="Only these, such as cpu-[0-1], @slurmd.",
        autocompletion=completion.nodes,
    ),
]
User = Annotated[
    str,
    typer.Option(
        "-u", "-l", "--user", metavar="USER", help="Be this user on the node. Default: the lab's own."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]
NodeWords = Annotated[
    list[str],
    typer.Argument(metavar="NODES -- COMMAND...", autocompletion=completion.first_word, show_default=False),
]
