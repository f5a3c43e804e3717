"""The live tree of a terminal: running steps with their nodes below, finished steps folded above."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from labctl.console import BaseReporter, Clock, Step

MARKS = {
    "running": ("·", "cyan"),
    "waiting": ("·", "dim"),
    "ok": ("✓", "green"),
    "changed": ("✓", "yellow"),
    "skipped": ("-", "dim"),
    "failed": ("✗", "bold red"),
    "interrupted": ("!", "yellow"),
}


NAME_WIDTH = 12


def _width(step: Step) -> int:
    return max((NAME_WIDTH, *map(len, list(step.nodes))))


def clock_text(seconds: float) -> str:
    """``8.2 s`` or ``2 m 05 s``: what a person reads at a glance."""
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} m {int(seconds % 60):02d} s"


class LiveReporter(BaseReporter):
    """Draws the tree with rich; the screen is redrawn by rich's own thread, a few times a second."""

    def __init__(self, console: Console | None = None, *, clock: Clock = time.monotonic) -> None:
        super().__init__(clock=clock)
        self.console = console if console is not None else Console(stderr=True, highlight=False)
        self._running: list[Step] = []
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def note(self, text: str) -> None:
        """See `Reporter.note`."""
        self.console.print(Text(text, style="dim"))

    def on_begin(self, step: Step) -> None:
        """Show the step; the first one starts the drawing."""
        self._running.append(step)
        if self._live is None:
            self._live = Live(
                get_renderable=self.render,
                console=self.console,
                transient=True,
                redirect_stdout=False,
                refresh_per_second=8,
            )
            self._live.start()

    def on_end(self, step: Step) -> None:
        """Fold the step; the last one ends the drawing, so that what comes next has the screen to itself."""
        self._running.remove(step)
        if not self._running and self._live is not None:
            self._live.stop()
            self._live = None
        self.console.print(self.folded(step))

    def folded(self, step: Step) -> RenderableType:
        """A finished step: one line, and below it what stays of a failure."""
        lines: list[RenderableType] = [self._line(step.outcome, step.name, step.last_note, step.seconds)]
        if step.outcome == "failed":
            width = _width(step)
            lines += [
                self._line("failed", name, line.text, None, indent=2, width=width)
                for name, line in step.nodes.items()
                if line.state == "failed"
            ]
            if step.log is not None:
                lines.append(Text(f"    log: {step.log}", style="dim"))
        return Group(*lines)

    def render(self) -> RenderableType:
        """The running steps as they are now.

        Takes no lock: rich calls this under a lock of its own, which `on_end` wants while it holds ours.
        The copies are atomic.
        """
        return Group(*(part for step in tuple(self._running) for part in self._tree(step)))

    def _tree(self, step: Step) -> list[RenderableType]:
        head = Table.grid(padding=(0, 1))
        head.add_row(
            self._spinner,
            Text(step.name, style="bold"),
            Text(clock_text(step.seconds), style="dim"),
            Text(step.last_note, style="dim", no_wrap=True, overflow="ellipsis"),
        )
        nodes, width = [], _width(step)
        for name, line in list(step.nodes.items()):
            seconds = self.clock() - line.since if line.state == "running" else None
            nodes.append(self._line(line.state, name, line.text, seconds, indent=2, width=width))
        return [head, *nodes]

    @staticmethod
    def _line(
        state: str, name: str, text: str, seconds: float | None, *, indent: int = 0, width: int = NAME_WIDTH
    ) -> Text:
        mark, style = MARKS.get(state, MARKS["running"])
        line = Text(" " * indent, no_wrap=state != "failed", overflow="ellipsis")
        line.append(f"{mark} ", style=style).append(f"{name:<{width}} ", style="bold" if not indent else "")
        if seconds is not None:
            line.append(f"{clock_text(seconds):>8}  ", style="dim")
        return line.append(text, style=style if state == "failed" else "")
