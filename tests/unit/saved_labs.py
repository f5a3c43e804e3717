"""Snapshots of labs that are nowhere."""

from __future__ import annotations

import os
from typing import Any

from labctl import packing, snapshots
from labctl.snapshots import SavedBox, SavedNode, Snapshot

HOST = {"machine": "x86_64", "driver": "qemu", "qemu": "7002022"}


def a_snapshot(id_: str = "abc1", **changes: Any) -> Snapshot:
    """One of two nodes, in the store; `nodes` has what is in each one's memory, `changes` any other field."""
    nodes: dict[str, bytes] = changes.pop("nodes", {"head": b"of head", "cpu-0": b"of cpu-0"})
    with snapshots.draft(id_) as work:
        saved = {}
        for node, content in nodes.items():
            memory = packing.Packing(work / f"{node}.memory.zst")
            memory.write(content)
            disk = packing.Packing(work / f"{node}.disk.zst")
            disk.write(os.urandom(2000))
            saved[node] = SavedNode(
                defined="<domain/>",
                running="<domain/>",
                capacity=4096,
                memory=memory.close(),
                disk=disk.close(),
            )
        (work / "lab.yml").write_text("name: full\n")
        files = packing.tar_of(work / "lab.tar", work, ["lab.yml"])
        (work / "lab.yml").unlink()
        fields: dict[str, Any] = {
            "id": id_,
            "lab": "full",
            "label": "",
            "key": "k",
            "secrets": "s",
            "created": 1000.0,
            "host": HOST,
            "box": SavedBox(name="debian-12", vagrant_name="labctl-debian-12"),
            "files": files,
            "nodes": saved,
        }
        snapshot = Snapshot(**fields | changes)
        snapshots.write_manifest(work, snapshot)
    return snapshot
