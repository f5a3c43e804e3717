"""The presets, by their files alone. Quick to import, for shell completion."""

from __future__ import annotations

from pathlib import Path

PRESETS = Path(__file__).parent / "presets"


def paths() -> dict[str, Path]:
    """The file of each preset, by its name."""
    return {path.stem: path for path in sorted(PRESETS.glob("*.yml"))}
