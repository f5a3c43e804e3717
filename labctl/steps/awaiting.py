"""Awaiting: machines are made or started and, beside it, waited for; what one said last if it does not come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event

from labctl.errors import BootError
from labctl.render.layout import Layout

# Seconds until a machine must have come, from when it was told to start. Six machines under software emulation on two
# cores take 90; a cold disk cache and a busy host may double that.
DEADLINES = {"kvm": 180.0, "qemu": 600.0}


def make_and_await(
    nodes: Sequence[str], make: Callable[[Event], None], wait_for: Callable[[str, Event], None]
) -> None:
    """Run ``make`` and, beside it, wait for each node.

    Args:
        nodes: those to wait for.
        make: makes or starts the machines; its errors come first. Its argument is set when all have come.
        wait_for: returns once a node has come, or once its second argument is set; raises if it does not come.
    """
    failed, all_came = Event(), Event()
    with ThreadPoolExecutor(max_workers=len(nodes) + 1) as pool:
        waits = [pool.submit(wait_for, node, failed) for node in nodes]
        told = pool.submit(_tell, waits, all_came)
        try:
            make(all_came)
            told.result()
        except BaseException:
            failed.set()
            raise


def _tell(waits: Sequence[Future[None]], all_came: Event) -> None:
    try:
        for wait in waits:
            wait.result()
    finally:
        all_came.set()


def overdue(layout: Layout, node: str, what: str, *, why: str = "") -> BootError:
    """The error of a machine that did not come in time.

    Args:
        layout: where it is.
        node: its name.
        what: it did not do.
        why: what is known of that, besides what it said last on its console.
    """
    console = layout.directory / "logs" / f"console-{node}.log"
    return BootError(
        f"{what} within {DEADLINES[layout.driver]:.0f} s",
        why="\n".join(part for part in (why, _last_words(console)) if part),
        hint=f"its console: {console}; then labctl up --name {layout.lab} again",
    )


def _last_words(console: Path) -> str:
    with suppress(OSError):
        lines = console.read_text(errors="replace").strip().splitlines()
        return (
            "the last it said on its console:\n" + "\n".join(lines[-5:]) if lines else "its console is empty"
        )
    return ""
