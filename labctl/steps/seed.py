"""Seed: one machine of each shape is booted and saved, so that the machines of labs can be copies of it.

Booting costs a machine some twenty seconds of CPU under software emulation, a copy three. What is saved is nobody yet:
it has no name, no host key, nobody's key to get in, and its network card is down. It is kept beside the box.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event

import platformdirs
from filelock import FileLock

from labctl import addresses, packing, saved_machines, snapshots
from labctl.console import StepView
from labctl.errors import BootError, DamagedError, SnapshotError
from labctl.providers.base import Provider, Saver
from labctl.render.layout import Layout, Machine
from labctl.render.vagrantfile import command_line, vagrantfile
from labctl.resources import resource
from labctl.side_by_side import each
from labctl.snapshots import SavedBox, Snapshot
from labctl.steps import awaiting

_POLL = 0.5  # seconds between two looks at a machine whose guest agent does not answer yet
# No user's node has such a name. The machine is found with the lab's others, and goes with them if we are cut off.
_NAME = "_seed-{cpus}-{memory}"
_VAGRANTFILE = "Vagrantfile.seed"  # in the lab's folder, while there are such machines
_SAVED = "seed"  # its name in the snapshot

#: Waits until all is started, and asks for what every lab will ask for: the warm Python, and NFS in the kernel, which
#: takes a second of CPU under emulation. Then takes away whatever makes a machine somebody.
_FORGET = """
systemctl is-system-running --wait
for socket in /run/warm_python/*; do
    [ ! -S "$socket" ] || /usr/lib/warm_python/python3 "${socket##*/}" -c pass
done
modprobe --all nfsv4 nfsd
for card in /sys/class/net/*/device; do card=${card%/device}; ip link set "${card##*/}" down; done
rm -f /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /var/lib/systemd/random-seed
"""


@dataclass(frozen=True, order=True)
class Shape:
    """What a copy must have in common with the machine that it is a copy of; memory in MiB."""

    cpus: int
    memory: int


@dataclass(frozen=True)
class Seedbed:
    """Where the machines to copy are grown.

    Attributes:
        provider: who makes them.
        saver: the provider's.
        layout: the lab.
        host: what a host must be like that copies a machine which was saved here.
        view: is told of each machine.
        log: what the provider says goes there.
    """

    provider: Provider
    saver: Saver
    layout: Layout
    host: Mapping[str, str]
    view: StepView
    log: Path

    def seeds(self, nodes: Collection[str]) -> dict[str, Snapshot]:
        """For each of these nodes a saved machine to be a copy of, in the storage pool; what is missing is made.

        Raises:
            BootError: one did not boot.
            SnapshotError: one could not be saved, or its disk not be put into the pool.
        """
        shapes = {one.node.name: _shape(one) for one in self.layout.machines if one.node.name in nodes}
        # Of two labs that begin at once one makes them for both, and no two put the same disk into the pool. Whoever
        # has the lock has deadlines of its own.
        with FileLock(platformdirs.user_cache_path("labctl") / "seed.lock"):
            kept = {shape: self._kept(shape) for shape in sorted(set(shapes.values()))}
            missing = [shape for shape, seed in kept.items() if seed is None]
            made = self._made(missing) if missing else {}
            seeds = {shape: seed or made[shape] for shape, seed in kept.items()}
            for seed in seeds.values():
                saved_machines.stage(self.saver, seed)
        return {node: seeds[shape] for node, shape in shapes.items()}

    def _kept(self, shape: Shape) -> Snapshot | None:
        """The saved machine of this shape, if there is a whole one that this host can bring back."""
        for seed in snapshots.of_key(self._key(shape)):
            if seed.host != self.host:
                continue
            try:
                snapshots.check(seed)
            except DamagedError:
                snapshots.remove(seed)
                self.saver.unstage(seed.volumes)
            else:
                seed.note_use()
                return seed
        return None

    def _key(self, shape: Shape) -> str:
        """Content hash of all that a saved machine of this shape is made of."""
        words = command_line(replace(self.layout, public_key=""), "")
        digest = hashlib.sha256(resource("Vagrantfile.j2").read_bytes())
        digest.update(repr((self.layout.box.name, shape, words, _FORGET)).encode())
        return f"seed-{digest.hexdigest()[:16]}"

    def _made(self, shapes: Sequence[Shape]) -> dict[Shape, Snapshot]:
        """A machine of each shape, booted and saved; none of them is there afterwards."""
        names = {_NAME.format(cpus=shape.cpus, memory=shape.memory): shape for shape in shapes}
        own = _nobodies(self.layout, names)
        file = own.directory / own.vagrantfile
        self.view.note(f"booting machines to copy: {len(names)}")
        try:
            file.write_text(vagrantfile(own))
            awaiting.make_and_await([*names], partial(self._make, own), partial(self._forgets, own))
            saved = each(
                [*names],
                lambda name: self._saved(name, self._key(names[name])),
                abandon=lambda name: self.saver.abandon(own.lab, name),
            )
        finally:
            file.unlink(missing_ok=True)
            self._remove(own)
        return dict(zip(shapes, saved, strict=True))

    def _make(self, own: Layout, booted: Event) -> None:
        names = [machine.node.name for machine in own.machines]
        try:
            self.provider.make(own, names, self.view, self.log, booted)
        except BaseException:
            self._remove(own)  # at once: whoever waits for what it told a guest agent would wait on
            raise

    def _remove(self, own: Layout) -> None:
        for machine in own.machines:
            self.provider.remove(own.lab, machine.node.name, own.directory)

    def _forgets(self, own: Layout, name: str, failed: Event) -> None:
        """Wait until a machine has booted and has forgotten who it is."""
        end = time.monotonic() + awaiting.DEADLINES[own.driver]
        while not failed.is_set():
            left = max(1.0, end - time.monotonic())
            try:
                answer = self.saver.tell(own.lab, name, _FORGET, deadline=left)
            except BootError as error:  # there is no machine yet, or its agent has not been started
                if time.monotonic() > end:
                    what = "a machine to copy did not boot"
                    raise awaiting.overdue(own, name, what, why=str(error)) from error
                failed.wait(_POLL)
                continue
            if answer.code != 0:
                raise SnapshotError("a machine to copy does not forget who it is", why=answer.stderr.strip())
            self.view.node(name, "booted", "ok")
            return

    def _saved(self, name: str, key: str) -> Snapshot:
        """A machine that has forgotten who it is, kept under this key."""
        id_ = snapshots.new_id(key, time.time_ns())
        with snapshots.draft(id_) as work:
            nodes, _ = saved_machines.write_down(self.saver, self.layout.lab, [name], work, self.view)
            seed = Snapshot(
                id=id_,
                lab=snapshots.NO_LAB,
                label=snapshots.AUTOMATIC,
                key=key,
                secrets="",
                created=time.time(),
                host=dict(self.host),
                box=SavedBox(name=self.layout.definition.box, vagrant_name=self.layout.box.name),
                files=packing.tar_of(work / "lab.tar", self.layout.directory, ()),
                nodes={_SAVED: nodes[name]},
            )
            snapshots.write_manifest(work, seed)
        return seed


def _shape(machine: Machine) -> Shape:
    return Shape(machine.node.cpus, machine.node.memory)


def _nobodies(layout: Layout, names: Mapping[str, Shape]) -> Layout:
    """The machines to copy, as if they were the lab's. They need no address, and nobody has the key that opens them."""
    from labctl import keys  # noqa: PLC0415 - a slow import, and mostly there is nothing to make

    def machine(name: str, shape: Shape) -> Machine:
        node = replace(layout.machines[0].node, name=name, cpus=shape.cpus, memory=shape.memory)
        return Machine(node, f"{layout.prefix}{name}", addresses.mac(layout.lab, name), IPv4Address(0))

    return replace(
        layout,
        machines=tuple(machine(name, shape) for name, shape in names.items()),
        public_key=keys.ssh_pair("nobody")[1],
        vagrantfile=_VAGRANTFILE,
    )
