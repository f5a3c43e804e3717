"""The words that somebody may have meant who wrote one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: How alike two words must be, from 0 to 1; difflib's own default would not know `bx` for `box`.
ALIKE = 0.5


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like `word`, whatever its case; empty if none is."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=ALIKE)
    return by_lower[near[0]] if near else ""


def hint(word: str, known: Iterable[str], otherwise: str) -> str:
    """What to try instead of an unknown word: the nearest known one, or else what `otherwise` says."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else otherwise


def instead(word: str, allowed: Iterable[str], *, called: str = "") -> str:
    """The end of a sentence about an unknown word: the nearest known one, and all that are allowed.

    Args:
        word: what was written.
        allowed: what could have been.
        called: words for `allowed` if they are too many to be read.
    """
    known = list(allowed)
    near = nearest(word, known)
    guess = f"; did you mean {near!r}?" if near else ""
    return f"{guess} (allowed: {called or ', '.join(known)})" if known else guess
