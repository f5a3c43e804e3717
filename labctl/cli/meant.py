"""Which lab is meant: what `up`, `create` and `snapshot key` have in common on the command line, said once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    WithContainers,
    WithPyxis,
    WithRegistry,
)
from labctl.cli.state import wanted

if TYPE_CHECKING:
    from labctl.lab import Lab


@dataclass(frozen=True)
class Meant:
    """A lab that need not be there yet, and what shall be other than its definition says; each field is an option."""

    source: Source = ""
    name: NewName = ""
    overrides: Overrides = None
    cpu_nodes: CpuNodes = None
    gpu_nodes: GpuNodes = None
    cpus_per_node: CpusPerNode = None
    gpus_per_node: GpusPerNode = None
    memory_per_node: MemoryPerNode = None
    with_registry: WithRegistry = False
    with_containers: WithContainers = False
    with_pyxis: WithPyxis = False
    provider: Provider = "auto"
    output_dir: OutputDir = Path()

    def lab(self) -> Lab:
        """The lab. For the errors see `labctl.cli.state.wanted`."""
        from labctl.definition.sizes import Sizes  # noqa: PLC0415

        return wanted(
            self.source,
            name=self.name,
            overrides=[*self._services(), *(self.overrides or [])],
            sizes=Sizes(
                self.cpu_nodes,
                self.gpu_nodes,
                self.cpus_per_node,
                self.gpus_per_node,
                self.memory_per_node,
            ),
            provider=self.provider,
            folder=self.output_dir,
        )

    def _services(self) -> list[str]:
        asked = {
            "registry": self.with_registry,
            "containers": self.with_containers,
            "pyxis": self.with_pyxis,
        }
        return [f"services.{service}=true" for service, on in asked.items() if on]


def of_a_lab(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first parameter is a `Meant`: typer sees its fields, and then the command's own options."""
    shared = [*inspect.signature(Meant, eval_str=True).parameters.values()]
    own = [*inspect.signature(command, eval_str=True).parameters.values()][1:]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(Meant(**{field.name: given.pop(field.name) for field in shared}), **given)

    run.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*shared, *own)}
    return run
