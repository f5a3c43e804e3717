"""docs/definition.md: every key of a definition, from its models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from labctl.definition import documented, loading
from labctl.definition.checks import RULES
from labctl.definition.models import Definition, Group, NodeSpec, Partition, Services, User
from labctl.reference.markdown import MADE, prose, table

INTRODUCTION = """\
`labctl up my-lab.yml` makes the lab that `my-lab.yml` describes, and `--set PATH=VALUE` changes one value of any
definition: `--set 'nodes.cpu-[0-1].memory=2048'`, `--set vars.slurm_common_config.MinJobAge=600`. Mistakes are
told all at once, each with its line, before anything is touched. [A lab of your own](your-own-lab.md) shows how to
begin one.
"""
SUBJECTS = {
    "checks_accounts": "users and groups",
    "checks_nodes": "nodes",
    "checks_services": "services",
    "checks_slurm": "Slurm",
}


def definition() -> str:
    """Every key of a definition, and the rules between them."""
    full = Path(loading.__file__).parent / "presets" / "full.yml"
    parts = [
        f"# The definition\n\n{MADE}\n",
        "One YAML file describes a lab. `labctl presets` lists those that ship with labctl; this is `full`:\n",
        f"```yaml\n{full.read_text(encoding='utf-8').strip()}\n```\n",
        INTRODUCTION,
        _model("The lab", Definition),
        _model("users", User),
        _model("groups", Group),
        _model("nodes", NodeSpec),
        _model("partitions", Partition),
        _model("services", Services),
        "## What must agree\n",
        *sorted(
            f"- {SUBJECTS[rule.__module__.rpartition('.')[2]]}: {prose(rule.__doc__ or '')}" for rule in RULES
        ),
        "",
    ]
    return "\n".join(parts)


def _model(title: str, model: type[BaseModel]) -> str:
    schema = documented.schema(model)
    required = schema.get("required", [])
    rows = [
        (f"`{name}`", _type(entry), _default(entry, required=name in required), prose(entry["description"]))
        for name, entry in schema["properties"].items()
    ]
    return f"## {title}\n\n{schema['description']}\n\n{table(('key', 'type', 'default', ''), rows)}"


def _default(entry: Mapping[str, Any], *, required: bool) -> str:
    if required:
        return "required"
    value = entry.get("default")
    if value is None or value in ("", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(entry: Mapping[str, Any]) -> str:
    """A JSON Schema type in words."""
    if "$ref" in entry:
        return "entry"
    if "anyOf" in entry:
        kinds = (_type(one) for one in entry["anyOf"] if one.get("type") != "null")
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in entry:
        return " \\| ".join(f"`{value}`" for value in entry["enum"])
    if entry.get("type") == "array":
        return f"list of {_type(entry['items'])}" if "$ref" not in entry["items"] else "list, see below"
    kind = str(entry.get("type", "any"))
    kind = {"object": "mapping", "boolean": "true or false"}.get(kind, kind)
    low, high = entry.get("minimum"), entry.get("maximum")
    if low is None:
        return kind
    return f"{kind}, {low} to {high}" if high is not None else f"{kind}, {low} at least"
