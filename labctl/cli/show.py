"""Facts on stdout: tables that a terminal colours and a pipe can cut, and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.style import Style
from rich.text import Text

GAP = "  "
STYLES = {
    **dict.fromkeys(("running", "idle", "active", "ok", "up"), "green"),
    **dict.fromkeys(("alloc", "allocated", "mixed", "activating", "suspended", "changed"), "yellow"),
    **dict.fromkeys(("crashed", "missing", "down", "failed", "drained"), "red"),
}


def screen() -> Console:
    """The console for facts; never wraps what another program may read."""
    return Console(highlight=False, soft_wrap=True)


def coloured(text: str, colour: str) -> str:
    """The text in a colour where that can be seen: on a terminal, and without NO_COLOR."""
    out = screen()
    if out.color_system is None or out.no_color:
        return text
    return Style(color=colour).render(text)


def as_json(facts: Any) -> None:
    """Print facts as JSON."""
    print(in_json(facts), end="")


def in_json(facts: Any) -> str:
    """Facts as JSON, its last line ended."""
    return json.dumps(plain(facts), indent=2) + "\n"


def as_json_line(facts: Any) -> None:
    """Print facts as JSON on one line, at once: more of them follow."""
    print(json.dumps(plain(facts)), flush=True)


def plain(facts: Any) -> Any:
    """Dataclasses, paths and addresses as what JSON knows."""
    if dataclasses.is_dataclass(facts) and not isinstance(facts, type):
        return {field.name: plain(getattr(facts, field.name)) for field in dataclasses.fields(facts)}
    if isinstance(facts, Mapping):
        return {str(key): plain(value) for key, value in facts.items()}
    if isinstance(facts, Path | IPv4Address | IPv4Network):
        return str(facts)
    if isinstance(facts, Iterable) and not isinstance(facts, str):
        return [plain(value) for value in facts]
    return facts


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns, as wide as they need to be; a column in which nothing stands is left out."""
    out = screen()
    for line in columns(head, rows):
        out.print(line)


def columns(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[Text]:
    """The lines of such a table; none if it has no rows."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not cells:
        return []
    kept = [i for i in range(len(head)) if any(row[i] for row in cells)]
    widths = {i: max(len(head[i]), *(len(row[i]) for row in cells)) for i in kept}
    lines = [Text(GAP.join(head[i].upper().ljust(widths[i]) for i in kept).rstrip(), style="bold")]
    for row in cells:
        line = Text()
        for i in kept:
            last = all(not row[later] for later in kept if later > i)
            line.append(row[i], style=STYLES.get(row[i], "")).append(
                "" if last else " " * (widths[i] - len(row[i]))
            )
            line.append("" if last else GAP)
        lines.append(line)
    return lines


def duration(seconds: float) -> str:
    """``42 s``, ``12 m``, ``3 h 05 m`` or ``2 d 03 h``."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes} m"
    if days < 1:
        return f"{hours} h {minutes % 60:02d} m"
    return f"{days} d {hours % 24:02d} h"


def size(count: int) -> str:
    """Bytes as ``80 KiB``, ``512 MiB`` or ``1.5 GiB``."""
    if count < 1024**2:
        return f"{count / 1024:.0f} KiB"
    return f"{count / 1024**2:.0f} MiB" if count < 1024**3 else f"{count / 1024**3:.1f} GiB"


def moment(seconds: float) -> str:
    """Seconds since the epoch as a date and time of this place."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def waterfall(steps: Sequence[tuple[str, float]], *, width: int = 40) -> None:
    """Print the steps, each with a bar that begins where the one before ended."""
    total = sum(seconds for _, seconds in steps) or 1.0
    name_width = max((len(name) for name, _ in steps), default=0)
    out = screen()
    block = "█" if "utf" in (out.encoding or "").lower() else "#"
    before = 0.0
    for name, seconds in steps:
        indent, length = round(before / total * width), max(1, round(seconds / total * width))
        out.print(
            Text.assemble(f"{name:<{name_width}}  {seconds:7.1f} s  ", " " * indent, (block * length, "cyan"))
        )
        before += seconds
    out.print(Text(f"{'all':<{name_width}}  {total:7.1f} s", style="bold"))
