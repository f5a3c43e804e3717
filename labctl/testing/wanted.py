"""Which lab a test asks for: a preset or definition, and changes of it."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What `labctl_matrix` may vary: the arguments of `TestCluster`.
KEYS = (
    "preset",
    "box",
    "cpu_nodes",
    "gpu_nodes",
    "cpus_per_node",
    "gpus_per_node",
    "memory_per_node",
    "overrides",
)
#: The preset of each fixture.
PRESETS = {
    "slurm_cluster": "cpu",
    "slurm_cluster_gpu": "gpu",
    "slurm_cluster_multi": "multi-node",
    "slurm_cluster_full": "full",
    "slurm_registry": "cpu",
}
#: The services that a fixture's lab has to have.
SERVICES = {"slurm_registry": ("registry",)}


@dataclass(frozen=True)
class Wanted:
    """A lab by its preset, or the path of a definition, the other arguments of `TestCluster`, and services to have."""

    preset: str
    changes: tuple[tuple[str, Any], ...] = ()
    services: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """What `TestCluster` is told besides the preset."""
        given = dict(self.changes)
        if self.services:
            on = (f"services.{service}=true" for service in self.services)
            given["overrides"] = (*given.get("overrides", ()), *on)
        return given

    def name(self, root: Path) -> str:
        """What the lab is called: no other project's has this name."""
        stem = re.sub(r"[^a-z0-9-]", "-", Path(self.preset).stem.lower())[:12]
        changes = tuple(self.arguments().items())
        digest = hashlib.sha256(f"{root}\0{self.preset}\0{changes}".encode()).hexdigest()[:6]
        return f"pytest-{stem}-{digest}"

    def __str__(self) -> str:
        """The same for people."""
        return ", ".join([self.preset, *(f"{key}={value}" for key, value in self.changes), *self.services])


def variants(fixture: str, axes: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, Wanted]]:
    """Every combination of the values of some keys, with a name for it.

    Args:
        fixture: whose preset holds where none is among the keys.
        axes: the values of each key.

    Raises:
        ValueError: a key is none, or has no list of values.
    """
    for key, values in axes.items():
        if key not in KEYS:
            raise ValueError(f"labctl_matrix has no {key}: it has {', '.join(KEYS)}")
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise ValueError(f"labctl_matrix: {key} needs a list of values, such as {key}=[...]")
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        label = ",".join(f"{key}={value}" for key, value in chosen.items())
        preset = str(chosen.pop("preset", PRESETS[fixture]))
        changes = tuple((key, _frozen(value)) for key, value in chosen.items())
        yield label, Wanted(preset, changes, SERVICES.get(fixture, ()))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
