"""docs/roles.md: what there is, from the roles themselves."""

from __future__ import annotations

from ruamel.yaml import YAML

from labctl.reference.markdown import MADE, table
from labctl.resources import resource

INTRODUCTION = """\
Each role does one thing, takes its settings from variables that begin with its name, and knows nothing of labctl:
[the same roles make a real cluster](roles-on-a-real-cluster.md). A role's page lists every variable with its type and
default, made from the role's `meta/argument_specs.yml`, which Ansible checks at each run.
"""


def roles() -> str:
    """What each role does, and where its variables are explained."""
    rows = []
    for role in sorted(path for path in resource("roles").iterdir() if (path / "meta").is_dir()):
        specs = YAML(typ="safe").load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
        options = specs["argument_specs"]["main"]["options"]
        readme = (role / "README.md").read_text(encoding="utf-8")
        about = readme.split("\n\n")[1]
        rows.append(
            (f"[{role.name}](../roles/{role.name}/README.md)", " ".join(about.split()), str(len(options)))
        )
    return "\n".join([f"# The roles\n\n{MADE}\n", INTRODUCTION, table(("role", "", "variables"), rows)])
