"""The chart of a run: a self-contained SVG for light and for dark mode. `python -m bench.chart` draws it anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

#: From the longest to the shortest, as far as it can be foretold; F itself is the line that they are measured by.
_BARS = (
    ("naive", "vagrant up, then ansible-playbook"),
    ("first", "labctl up, the first time with a box"),
    ("cold", "labctl up, built from nothing"),
    ("warm", "labctl up, from its snapshot"),
    ("reset", "labctl reset"),
)
_WIDTH, _LEFT, _RIGHT = 780, 280, 150  # pixels; the labels are left, the values right of the bars
_TOP, _PITCH, _BAR, _BOTTOM = 78, 40, 22, 34
_MARGIN = 20

_STYLE = """\
    svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-size: 14px; }
    .paper { fill: #ffffff; }
    .ink { fill: #1f2328; }
    .pale { fill: #59636e; font-size: 12px; }
    .title { font-size: 16px; font-weight: 600; }
    .ours { fill: #1a7f64; }
    .theirs { fill: #8c959f; }
    .line { stroke: #59636e; stroke-dasharray: 3 3; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117; }
      .ink { fill: #f0f6fc; }
      .pale { fill: #9198a1; }
      .ours { fill: #3fb68b; }
      .theirs { fill: #6e7681; }
      .line { stroke: #9198a1; }
    }"""


@dataclass(frozen=True)
class Bar:
    """One bar: what it is, how long it is as a multiple of F, and its seconds; both None if it was not measured."""

    name: str
    label: str
    ratio: float | None
    seconds: float | None

    @property
    def value(self) -> str:
        """What stands at its end."""
        if self.ratio is None or self.seconds is None:
            return "not measured"
        return f"{number(self.ratio)} F ({duration(self.seconds)})"


def svg(latest: Mapping[str, Any]) -> str:
    """The chart of what `latest.json` says."""
    bars = [Bar(name, label, latest["ratios"][name], latest["seconds"][name]) for name, label in _BARS]
    longest = max([1.0, *(bar.ratio for bar in bars if bar.ratio is not None)])
    scale = (_WIDTH - _LEFT - _RIGHT) / longest
    height = _TOP + _PITCH * len(bars) + _BOTTOM
    labelled = f'width="{_WIDTH}" height="{height}" role="img" aria-labelledby="title said"'
    said = "; ".join(f"{bar.label}: {bar.value}" for bar in bars)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {labelled}>',
            f'  <title id="title">{escape(_title(latest))}</title>',
            f'  <desc id="said">{escape(said)}</desc>',
            f"  <style>\n{_STYLE}\n  </style>",
            f'  <rect class="paper" width="{_WIDTH}" height="{height}" rx="6"/>',
            f'  <text class="ink title" x="{_MARGIN}" y="30">{escape(_title(latest))}</text>',
            f'  <text class="pale" x="{_MARGIN}" y="50">{escape(_unit(latest))}</text>',
            *(line for at, bar in enumerate(bars) for line in _drawn(bar, _TOP + _PITCH * at, scale)),
            *_line_at_f(scale, height),
            f'  <text class="pale" x="{_MARGIN}" y="{height - 12}">{escape(_machine(latest))}</text>',
            "</svg>",
            "",
        ]
    )


def _drawn(bar: Bar, top: int, scale: float) -> list[str]:
    length = 0.0 if bar.ratio is None else max(bar.ratio * scale, 2)
    end = _LEFT + max(length, scale) + 8  # right of the line at F, which would cross the words
    base = top + _BAR - 6
    kind = "theirs" if bar.name == "naive" else "ours"
    return [
        f'  <text class="ink" x="{_LEFT - 12}" y="{base}" text-anchor="end">{escape(bar.label)}</text>',
        f'  <rect class="{kind}" x="{_LEFT}" y="{top}" width="{length:.1f}" height="{_BAR}" rx="3"/>',
        f'  <text class="ink" x="{end:.1f}" y="{base}">{escape(bar.value)}</text>',
    ]


def _line_at_f(scale: float, height: int) -> list[str]:
    x = f"{_LEFT + scale:.1f}"
    return [
        f'  <line class="line" x1="{x}" y1="{_TOP - 6}" x2="{x}" y2="{height - _BOTTOM}"/>',
        f'  <text class="pale" x="{x}" y="{_TOP - 10}" text-anchor="middle">F</text>',
    ]


def _title(latest: Mapping[str, Any]) -> str:
    return f"A verified cluster of {latest['nodes']} machines"


def _unit(latest: Mapping[str, Any]) -> str:
    bare = latest["F_seconds"]
    return (
        f"F: as many bare machines until they answer, here {duration(bare)}" if bare else "F was not measured"
    )


def _machine(latest: Mapping[str, Any]) -> str:
    facts = latest["machine"]
    if not facts:
        return "make bench measures it"
    return f"{facts['cpus']} CPUs, {facts['accelerator']}, QEMU {facts['qemu']}, {facts['measured'][:10]}"


def number(ratio: float) -> str:
    """A ratio with two figures that count."""
    return f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if round(seconds, 1) < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


def main() -> None:
    """Draw `bench/latest.json`."""
    here = Path(__file__).parent
    latest = json.loads((here / "latest.json").read_text(encoding="utf-8"))
    (here.parent / "docs" / "benchmarks.svg").write_text(svg(latest), encoding="utf-8")


if __name__ == "__main__":
    main()
