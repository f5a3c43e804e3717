"""Making: the machines of a lab are copies of saved ones where that can be, and boot by themselves where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from labctl.console import StepView
from labctl.errors import BootError, SnapshotError
from labctl.files import LabFiles
from labctl.keeping import Keeper
from labctl.providers.base import Provider
from labctl.render.layout import Layout
from labctl.snapshots import Snapshot
from labctl.steps import boot, copies, machines
from labctl.steps.seed import Seedbed


def bring_up(
    provider: Provider,
    layout: Layout,
    files: LabFiles,
    *,
    made: Sequence[str],
    started: Sequence[str],
    view: StepView,
    say: Callable[[str], None],
) -> None:
    """Make some machines, start others, and wait until each of them answers.

    Args:
        provider: who makes them.
        layout: the lab.
        files: its files; while there are machines that may be nobody yet, the record names them.
        made: the nodes that have no machine.
        started: those whose machine is stopped or suspended.
        view: is told of each node.
        say: is told why machines are no copies, if that was tried.

    Raises:
        BootError: a machine could not be made or did not answer in time.
    """
    log = files.log("boot")
    up = partial(boot.bring_up, provider, layout, made=made, started=started, view=view, log=log)
    saver, keeper = provider.saver, Keeper(provider)
    # labctl's own boxes alone have the guest agent by which a copy is told who it is.
    if not made or saver is None or layout.box.kernel is None:
        up()
        return
    seeds: dict[str, Snapshot] = {}
    try:
        seeds = Seedbed(provider, saver, layout, keeper.host(layout.driver), view, log).seeds(made)
        files.note(copying=[*made])
        up(maker=partial(copies.make, saver, layout, seeds, view))
    except SnapshotError as error:
        say(f"{error}\nso each machine boots by itself")
        machines.remove(provider, layout.lab, list(seeds), layout.directory, view)
        _discard(keeper, seeds.values())
        files.note(copying=[])
        up()
    except BootError:
        _discard(keeper, seeds.values())
        raise
    files.note(copying=[])


def _discard(keeper: Keeper, seeds: Iterable[Snapshot]) -> None:
    """One of these may be why copies are not what they shall be: the next machines are copies of new ones."""
    for seed in seeds:
        keeper.remove(seed)
