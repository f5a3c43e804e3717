"""The report in a real browser, without a network: nothing is fetched, nothing overlaps, nothing sticks out.

It needs Chromium (`make browser` installs it); what the page says is in `test_render_report`.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_render_report import ABOUT, FAILED, PASSED, RUN

from labctl.render.report import page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: make browser")
DEADLINE = 120  # seconds; on an idle host it takes one
#: What a script in the page finds out, for the page's source as the browser has it at the end.
LOOK = """<script>
const box = (element) => element.getBoundingClientRect();
const drawing = document.querySelector("svg");
const texts = [...drawing.querySelectorAll("text")].filter((text) => text.textContent.trim());
const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1
    || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
const outside = (inner, outer) => inner.left < outer.left - 1 || inner.right > outer.right + 1
    || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
const named = (text) => text.textContent.trim();
document.documentElement.dataset.seen = JSON.stringify({
    sticks_out: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    fetched: performance.getEntriesByType("resource").map((one) => one.name),
    text: document.body.innerText,
    texts: texts.map(named),
    overlap: texts.flatMap((one, at) => texts.slice(at + 1).filter((other) => !apart(box(one), box(other)))
        .map((other) => [named(one), named(other)])),
    cut: texts.filter((one) => outside(box(one), box(drawing))).map(named),
    unfolded: [...document.querySelectorAll("details[open] > :not(summary)")].map((one) => box(one).height),
    background: getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number),
});
</script>"""
Look = Callable[..., dict[str, Any]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """What the browser makes of a page in a window of this width, in pixels."""

    def ask(text: str, width: int, *options: str) -> dict[str, Any]:
        file = tmp_path / "page.html"
        file.write_text(text.replace("</body>", f"{LOOK}</body>"), encoding="utf-8")
        options = (f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1500", *options)
        alone = ("--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND")
        command = [str(BROWSER), "--headless", *alone, *options, "--dump-dom", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE)
        seen = re.search(r'<html[^>]* data-seen="([^"]*)"', done.stdout)
        assert seen, done.stderr
        found: dict[str, Any] = json.loads(html.unescape(seen.group(1)))
        return found

    return ask


@pytest.mark.parametrize("width", [1200, 500])
def test_the_report_is_seen_whole_in_a_wide_and_in_a_narrow_window(look: Look, width: int) -> None:
    seen = look(page.html(replace(RUN, tests=PASSED + FAILED), ABOUT), width)
    assert seen["fetched"] == []
    assert seen["sticks_out"] == 0
    assert (seen["overlap"], seen["cut"]) == ([], [])
    assert {"ldap-0", "nfs-0", "slurmctld-0", "cpu-0", "cpu-1", "gpu-0", "LDAP", "NFS"} <= set(seen["texts"])
    assert "3 of 7 tests failed" in seen["text"]
    assert len(seen["unfolded"]) == 2
    assert all(height > 20 for height in seen["unfolded"])


def test_it_is_dark_where_the_reader_wants_that(look: Look) -> None:
    light, dark = (
        sum(look(page.html(RUN, ABOUT), 1200, *words)["background"][:3])
        for words in ((), ("--force-dark-mode",))
    )
    assert light > 600
    assert dark < 150
