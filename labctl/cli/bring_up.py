"""A lab made what it shall be, or the plan of it, and what is shown then: the same for `up` and `scale`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from labctl.cli import show, show_lab

if TYPE_CHECKING:
    from labctl.console import Reporter
    from labctl.lab import Lab, UpResult


def bring_up(
    lab: Lab,
    reporter: Reporter,
    *,
    dry_run: bool,
    verify: bool,
    fresh: bool,
    force: bool,
    as_json: bool,
    anew: bool = True,
) -> None:
    """Bring a lab up and show it, or show what would be done; for what each option means see `Lab.up`."""
    if dry_run:
        _plan(lab, as_json=as_json, verify=verify, fresh=fresh)
        return
    result = lab.up(reporter, verify=verify, fresh=fresh, force=force, anew=anew)
    if as_json:
        show.as_json(result)
    elif result.changed:
        _summary(result)
    else:
        seconds = sum(seconds for _, seconds in result.steps)
        print(f"{lab.name} is up and as defined: nothing changed ({seconds:.1f} s)")


def _plan(lab: Lab, *, as_json: bool, verify: bool, fresh: bool) -> None:
    actions = lab.plan(verify=verify, fresh=fresh)
    if as_json:
        show.as_json([{**asdict(action), "impact": action.impact} for action in actions])
    elif not actions:
        print(f"{lab.name} is up and as defined: nothing to do")
    else:
        show.table(
            ("action", "node", "impact", "why"),
            [(action.kind, action.node, action.impact, action.reason) for action in actions],
        )


def _summary(result: UpResult) -> None:
    show_lab.lab(result.status)
    print()
    show.waterfall(result.steps)
    if result.verify is not None:
        print(f"\n{show_lab.verified(result.verify)}")
    print()
    show_lab.next_commands(result.status)
