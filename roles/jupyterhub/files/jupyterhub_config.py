"""JupyterHub's settings: those of settings.json, and what a job of somebody's notebook asks for.

The hub reads it with `c`, its settings, in scope. Its own values may be changed by settings.json.
"""

import json
from pathlib import Path

import batchspawner  # noqa: F401 - gives the hub the address that a job tells it where its notebook listens

FOLDER = Path("/etc/jupyterhub")
#: What the form asks for, and sbatch is told (batchspawner's `req_` names).
FIELDS = {
    "partition": "Partition",
    "runtime": "Time limit",
    "nprocs": "CPUs",
    "memory": "Memory",
    "gres": "GRES",
}
HINTS = {"runtime": "1:00:00", "nprocs": "1", "memory": "512M", "gres": "gpu:1"}


def form(partitions):
    """A field for each thing that a job may ask for; what is left empty is as the cluster has it."""
    choices = "".join(f'<option value="{name}">{name}</option>' for name in partitions)
    fields = {
        name: f'<input name="{name}" id="{name}" class="form-control" placeholder="{HINTS.get(name)}">'
        for name in FIELDS
    }
    fields["partition"] = f'<select name="partition" id="partition" class="form-control">{choices}</select>'
    return "".join(
        f'<div class="form-group"><label for="{name}">{FIELDS[name]}</label>{field}</div>'
        for name, field in fields.items()
    )


def wishes(given):
    """What the form says, without the fields that were left empty."""
    said = {name: values[0].strip() for name, values in given.items() if name in FIELDS}
    return {name: value for name, value in said.items() if value}


settings = json.loads((FOLDER / "settings.json").read_text())
c.SlurmSpawner.batch_script = (FOLDER / "notebook.sh").read_text()  # noqa: F821
if settings["partitions"]:
    c.SlurmSpawner.options_form = form(settings["partitions"])  # noqa: F821
    c.SlurmSpawner.options_from_form = wishes  # noqa: F821
for name, value in settings["config"].items():
    of, _, setting = name.partition(".")
    c[of][setting] = value  # noqa: F821
