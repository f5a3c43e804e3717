"""`labctl create`: the files of a lab, and nothing else."""

from __future__ import annotations

from labctl.cli.options import NewName, Overrides, Provider, Source
from labctl.cli.state import state, wanted

EXAMPLES = ("labctl create full", "labctl create ./my-lab.yml --name play")


def run(
    source: Source = "",
    name: NewName = "",
    overrides: Overrides = [],  # noqa: B006 - typer's way to say: none given
    provider: Provider = "auto",
) -> None:
    """Write a lab's files (Vagrantfile, inventory, ssh_config) and start nothing."""
    lab = wanted(source, name=name, overrides=overrides, provider=provider)
    lab.create(state.reporter())
    print(lab.directory)
