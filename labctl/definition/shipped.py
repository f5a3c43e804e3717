"""What ships with labctl, by its files alone: presets and recipes of boxes. Quick to import, for shell completion."""

from __future__ import annotations

from pathlib import Path

PRESETS = Path(__file__).parent / "presets"
BOXES = Path(__file__).parents[1] / "boxes"


def paths() -> dict[str, Path]:
    """The file of each preset, by its name."""
    return {path.stem: path for path in sorted(PRESETS.glob("*.yml"))}


def boxes() -> tuple[str, ...]:
    """The boxes that labctl can build."""
    return tuple(sorted(path.parent.name for path in BOXES.glob("*/recipe.yml")))
