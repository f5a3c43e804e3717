"""One mistake in a definition, and the words that help to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
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


def instead(word: str, allowed: Iterable[str], *, called: str = "") -> str:
    """The end of a sentence about an unknown word: the nearest known one, and all that are allowed.

    Args:
        word: what was written.
        allowed: what could have been.
        called: words for `allowed` if they are too many to be read.
    """
    known = list(allowed)
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    guess = f"; did you mean {by_lower[near[0]]!r}?" if near else ""
    return f"{guess} (allowed: {called or ', '.join(known)})" if known else guess
