"""`labctl create`: the files of a lab, and nothing else."""

from __future__ import annotations

from labctl.cli.meant import Meant, of_a_lab
from labctl.cli.state import state

EXAMPLES = (
    "labctl create full",
    "labctl create ./my-lab.yml --name play",
    "labctl create multi-node --cpu-nodes 4 --output-dir ~/clusters",
)


@of_a_lab
def run(meant: Meant) -> None:
    """Write a lab's files (Vagrantfile, inventory, ssh_config) and start nothing."""
    lab = meant.lab()
    lab.create(state.reporter())
    print(lab.directory)
