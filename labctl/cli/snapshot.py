"""`labctl snapshot`: whole labs, disks and memory, as they were at one moment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli import completion, show
from labctl.cli.app import Application, examples
from labctl.cli.meant import Meant, of_a_lab
from labctl.cli.options import Json, LabName
from labctl.cli.state import existing, lab_type, state

SnapshotName = Annotated[
    str,
    typer.Argument(
        metavar="SNAPSHOT",
        help="Your name for it, or its id or the beginning of that.",
        autocompletion=completion.snapshots,
    ),
]
OfLab = Annotated[
    str,
    typer.Option("--name", "--lab", metavar="LAB", help="Only of this lab.", autocompletion=completion.labs),
]

app = Application(
    help="Save whole labs, disks and memory, and bring them back.",
    epilog=examples("labctl snapshot save before-upgrade", "labctl snapshot restore before-upgrade"),
)


def save(
    label: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    name: LabName = "",
    as_json: Json = False,
) -> None:
    """Save a running lab as it is now; it goes on running. One of the same name is replaced."""
    from labctl import snapshots  # noqa: PLC0415

    saved = existing(name).save_snapshot(state.reporter(), label)
    if as_json:
        show.as_json({**snapshots.facts(saved.snapshot), "paused_seconds": round(saved.paused, 2)})
    else:
        size = show.size(saved.snapshot.stored)
        print(f"saved {saved.snapshot.label}: {size}; the lab stood still for {saved.paused:.1f} s")


def restore(snapshot: SnapshotName, name: OfLab = "") -> None:
    """Put a lab back to a snapshot. What happened since then is lost; a lab that was destroyed is there again."""
    from labctl import snapshots  # noqa: PLC0415

    saved = snapshots.named(name, snapshot)
    lab = state.lab = lab_type().of(saved, base=state.directory.absolute())
    lab.restore_snapshot(state.reporter(), saved)
    print(f"{lab.name} is as it was when {saved.name} was saved")


def list_(name: OfLab = "", as_json: Json = False) -> None:
    """List the snapshots, of one lab or of all, and what they take on disk."""
    from labctl import snapshots  # noqa: PLC0415

    found = [snapshots.facts(one) for one in snapshots.snapshots() if not name or one.lab == name]
    if as_json:
        show.as_json(found)
    elif not found:
        print("no snapshots; `labctl up` saves one of each lab that it has verified")
    else:
        head = ("id", "lab", "name", "nodes", "memory", "on disk", "created", "last used")
        show.table(
            head,
            [
                (
                    one["id"],
                    one["lab"],
                    one["name"] or "(by up)",
                    len(one["nodes"]),
                    show.size(one["memory_bytes"]),
                    show.size(one["stored_bytes"]),
                    show.moment(one["created"]),
                    show.moment(one["used"]),
                )
                for one in found
            ],
        )
        print(f"{show.size(sum(one['stored_bytes'] for one in found))} in all")


def remove(snapshot: SnapshotName, name: OfLab = "") -> None:
    """Remove a snapshot. Labs that were made from it stay."""
    from labctl import keeping, snapshots  # noqa: PLC0415

    doomed = snapshots.named(name, snapshot)
    keeping.here().remove(doomed)
    print(f"removed {doomed.name} of {doomed.lab}: {show.size(doomed.stored)}")


def export(
    snapshot: SnapshotName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.", dir_okay=False)],
    name: OfLab = "",
) -> None:
    """Write a snapshot and its box as one file, for another host of the same kind. It has the lab's secrets in it."""
    from labctl import keeping, snapshots  # noqa: PLC0415

    size = keeping.export(snapshots.named(name, snapshot), file.absolute())
    print(f"{file}: {show.size(size)}; it has the lab's secrets in it")


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An exported snapshot.", exists=True, dir_okay=False)
    ],
    as_json: Json = False,
) -> None:
    """Take in an exported snapshot; `labctl up` or `labctl snapshot restore` then uses it. Only from whom you trust."""
    from labctl import keeping, snapshots  # noqa: PLC0415

    taken = keeping.take_in(file.absolute())
    if as_json:
        show.as_json(snapshots.facts(taken))
    else:
        print(f"{taken.id} of the lab {taken.lab}; labctl snapshot restore {taken.name} brings it up")


@of_a_lab
def key(meant: Meant, *, as_json: Json = False) -> None:
    """Print the key of the snapshot that `up` with these options would bring back here, for caches.

    It changes with all that the lab is made of, and with what of this host must be equal.
    """
    lab = meant.lab()
    found = lab.snapshot_key()
    if as_json:
        show.as_json({"lab": lab.name, "key": found.key, "snapshot": found.snapshot})
    else:
        print(found.key)


app.add("save", save, ("labctl snapshot save before-upgrade", "labctl snapshot save clean --name full"))
app.add("restore", restore, ("labctl snapshot restore before-upgrade",))
app.add("list", list_, ("labctl snapshot list", "labctl snapshot list --name full --json"))
app.add("rm", remove, ("labctl snapshot rm before-upgrade",))
app.add("export", export, ("labctl snapshot export before-upgrade full.snapshot",))
app.add("import", import_, ("labctl snapshot import full.snapshot",))
app.add("key", key, ("labctl snapshot key full", "labctl snapshot key multi-node --cpu-nodes 4 --json"))
