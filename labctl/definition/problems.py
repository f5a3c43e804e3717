"""One mistake in a definition: where it is and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

#: Where a mistake is: keys and list indexes from the top of the definition.
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """A mistake: where it is, and what is wrong there, with what is allowed instead."""

    path: Path
    words: str

    def __str__(self) -> str:
        """Such as ``nodes[2].memory: 128 is too little``."""
        where = dotted(self.path)
        return f"{where}: {self.words}" if where else self.words


def dotted(path: Path) -> str:
    """Such as ``nodes[2].memory``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
