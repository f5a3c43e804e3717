"""Read definitions, a preset's or a user's: whatever is wrong is said at once, each mistake with its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.definition import overrides as changes
from labctl.definition import playbooks, shipped, yamltext
from labctl.definition import source as sources
from labctl.definition.models import Definition
from labctl.definition.sizes import Sizes
from labctl.definition.sizes import apply as resize
from labctl.definition.validation import check, shown
from labctl.errors import DefinitionError
from labctl.words import instead

#: No definition is that long; a device or an image given by mistake is not read to its end.
MOST_BYTES = 250_000


@dataclass(frozen=True)
class PresetSummary:
    """What a preset is, and what it costs: nodes, virtual CPUs and memory in MiB of all nodes together."""

    name: str
    description: str
    nodes: int
    cpus: int
    memory: int


def load(source: str, *, overrides: Sequence[str] = (), sizes: Sizes | None = None) -> Definition:
    """The definition of a lab.

    Args:
        source: a preset's name, or the path of a YAML file.
        overrides: changes as ``path=value``, see `overrides.apply`.
        sizes: changes to all nodes that compute, which come before the others.

    Raises:
        DefinitionError: it cannot be read, or is not a lab; with every mistake, each with its line.
    """
    path = _find(source)
    folder = Path() if source in shipped.paths() else path.parent
    return loads(read(path), name=str(path), overrides=overrides, sizes=sizes, folder=folder)


def loads(
    text: str,
    *,
    name: str = "definition",
    overrides: Sequence[str] = (),
    sizes: Sizes | None = None,
    folder: Path | None = None,
) -> Definition:
    """The same from text, whose lines are shown as those of the file `name`.

    With a `folder`, files that the definition names are looked for from there; without it their paths stay as they are.
    """
    try:
        tree = sources.parse(text, name)
    except sources.SourceError as error:
        raise _refusal(name, [(error.where, error.words)]) from error
    if not isinstance(tree, sources.Map):
        words = "is empty" if tree is None else "is not a mapping of key: value"
        raise _refusal(name, [(f"{name}:1", f"a definition begins with name: and nodes:, and this {words}")])
    refused = [*resize(tree, sizes or Sizes()), *changes.apply(tree, overrides)]
    mistakes = [(error.where, error.words) for error in refused]
    plain = sources.bare(tree)
    lost = playbooks.locate(plain, folder) if folder is not None else ()
    definition, problems = check(plain)
    mistakes += [(sources.where(tree, each.path), shown(plain, each)) for each in (*problems, *lost)]
    if mistakes or definition is None:
        raise _refusal(name, mistakes)
    return definition


def presets() -> tuple[PresetSummary, ...]:
    """What ships with labctl, smallest first."""
    found = (_summary(path) for path in shipped.paths().values())
    return tuple(sorted(found, key=lambda preset: (preset.nodes, preset.memory, preset.name)))


def dump(definition: Definition) -> str:
    """The definition as YAML, complete: defaults of a later labctl change nothing in it."""
    data = definition.model_dump(mode="json", exclude_none=True)
    return yamltext.write(_without_empty(data))


def _summary(path: Path) -> PresetSummary:
    text = path.read_text(encoding="utf-8")
    machines = loads(text, name=str(path)).machines()
    return PresetSummary(
        name=path.stem,
        description=text.partition("\n")[0].removeprefix("#").strip(),
        nodes=len(machines),
        cpus=sum(machine.cpus for machine in machines),
        memory=sum(machine.memory for machine in machines),
    )


def _find(source: str) -> Path:
    known = shipped.paths()
    if source in known:
        return known[source]
    path = Path(source).expanduser()
    if path.is_dir():
        raise DefinitionError(f"{source} is a directory, not a definition", hint="Name a YAML file in it.")
    if path.exists():
        return path
    if "/" in source or path.suffix in {".yml", ".yaml"}:
        raise DefinitionError(f"there is no file {source}", hint=f"Presets: {', '.join(known)}")
    raise DefinitionError(
        f"there is no preset {source!r}{instead(source, known)}",
        hint="`labctl presets` tells what each is; a definition of your own is given by its path.",
    )


def read(path: Path) -> str:
    """The text of a definition's file.

    Raises:
        DefinitionError: there is none to be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        why, hint = error.strerror or str(error), "Name a YAML file that you may read."
        raise DefinitionError(f"{path} cannot be read", why=why, hint=hint) from error
    if len(data) > MOST_BYTES:
        why = f"It has more than {MOST_BYTES} bytes."
        raise DefinitionError(f"{path} is no definition", why=why, hint="labctl presets shows some.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        why = f"{path}:{line}: not UTF-8: byte {data[error.start]:#04x}"
        raise DefinitionError(f"{path} is no text", why=why, hint="Save it as UTF-8.") from error


def _refusal(name: str, mistakes: Iterable[tuple[str, str]]) -> DefinitionError:
    lines = [f"{where}: {words}" for where, words in sorted(dict.fromkeys(mistakes), key=_order)]
    count = "a mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return DefinitionError(
        f"{name} is not a lab: {count}", why="\n".join(lines), hint="Nothing has been touched."
    )


def _order(mistake: tuple[str, str]) -> tuple[int, str]:
    """By line; what stands on the command line comes last."""
    line = re.search(r":(\d+)$", mistake[0])
    return (int(line[1]) if line else 10**9, mistake[0])


def _without_empty(data: Any) -> Any:
    """Without empty lists and mappings at the places where they are the default."""
    if not isinstance(data, dict):
        return [_without_empty(item) for item in data] if isinstance(data, list) else data
    kept = {"vars", "slurm", "options"}
    return {
        key: value if key in kept else _without_empty(value)
        for key, value in data.items()
        if value not in ([], {}, "")
    }
