"""JupyterHub's settings: those of settings.json, and what a job of somebody's notebook asks for.

The hub reads it with `c`, its settings, in scope. Its own values may be changed by settings.json.
"""

import json
from html import escape
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
    choices = "".join(f'<option value="{name}">{name}</option>' for name in map(escape, partitions))
    fields = {
        name: f'<input name="{name}" id="{name}" class="form-control" placeholder="{HINTS.get(name)}">'
        for name in FIELDS
    }
    fields["partition"] = f'<select name="partition" id="partition" class="form-control">{choices}</select>'
    return "".join(
        f'<div class="form-group"><label for="{name}">{FIELDS[name]}</label>{field}</div>'
        for name, field in fields.items()
    )


def sound(asked):
    """Of what is asked for: the fields that there are, without empty ones, each one line of the script."""
    said = {name: "".join(str(asked[name]).strip().splitlines()[:1]) for name in FIELDS if asked.get(name)}
    return {name: value for name, value in said.items() if value}


def wishes(given):
    """What the form says: a list of values a field."""
    return sound({name: values[0] for name, values in given.items() if values})


def only_wishes(spawner):
    """Whoever asks by the hub's API, past the form, gets no more than it has; batchspawner would take anything."""
    spawner.user_options = sound(spawner.user_options)


settings = json.loads((FOLDER / "settings.json").read_text())
c.SlurmSpawner.batch_script = (FOLDER / "notebook.sh").read_text()  # noqa: F821
c.SlurmSpawner.pre_spawn_hook = only_wishes  # noqa: F821
if settings["partitions"]:
    c.SlurmSpawner.options_form = form(settings["partitions"])  # noqa: F821
    c.SlurmSpawner.options_from_form = wishes  # noqa: F821
for name, value in settings["config"].items():
    of, _, setting = name.partition(".")
    c[of][setting] = value  # noqa: F821
