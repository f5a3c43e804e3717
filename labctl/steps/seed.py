"""Seed: one machine of each shape is booted and saved, and all machines are copies of it that are told who they are.

Booting costs a machine some twenty seconds of CPU under software emulation, a copy three. What is saved is nobody yet:
it has no name, no host key, nobody's key to get in, and its network card is down. It is kept beside the box.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from threading import Event

from labctl import addresses, keys, packing, saved_machines, secrets, snapshots
from labctl.console import StepView
from labctl.errors import BootError, SnapshotError
from labctl.providers.base import Identity, Provider, Saver
from labctl.render.layout import Layout, Machine
from labctl.render.vagrantfile import bare_key, command_line, vagrantfile
from labctl.resources import resource
from labctl.side_by_side import each
from labctl.snapshots import SavedBox, Snapshot

#: Seconds until a machine must have booted, on a busy host.
_DEADLINE = {"kvm": 180.0, "qemu": 600.0}
_TOLD = 60.0  # seconds until a copy must have become who it is
_POLL = 0.5  # seconds between two looks at a machine whose guest agent does not answer yet
_FOLDER = "seed"  # of the lab's folder, while machines to copy are made
# No user's node has such a name. The machine is found with the lab's others, and goes with them if we are cut off.
_NAME = "_seed-{cpus}-{memory}"
_SAVED = "seed"  # its name in the snapshot

#: Waits until all is started; then takes away whatever makes a machine somebody.
_FORGET = """
systemctl is-system-running --wait
for card in /sys/class/net/*/device; do card=${card%/device}; ip link set "${card##*/}" down; done
rm -f /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /var/lib/systemd/random-seed
"""
# Standard input is the private host key. Copies of one memory would draw the same random numbers: by the ioctl
# RNDRESEEDCRNG, what is written to the pool counts at once. The card comes last, and DHCP follows by itself.
_BECOME = """
set -e
date --set=@{now} > /dev/null
perl -e '
    open(my $pool, ">", "/dev/urandom") or die;
    syswrite($pool, pack("H*", "{random}"));
    ioctl($pool, 0x5207, 0) or die'
echo {node} > /proc/sys/kernel/hostname
echo {machine_id} > /etc/machine-id
umask 077
cat > /etc/ssh/ssh_host_ed25519_key
echo {host_key} > /etc/ssh/ssh_host_ed25519_key.pub
mkdir -p /root/.ssh
echo {lab_key} > /root/.ssh/authorized_keys
systemctl restart systemd-journald
for card in /sys/class/net/*/device; do card=${{card%/device}}; ip link set "${{card##*/}}" address {mac} up; done
"""


@dataclass(frozen=True, order=True)
class Shape:
    """What a copy must have in common with the machine that it is a copy of; memory in MiB."""

    cpus: int
    memory: int


@dataclass(frozen=True)
class Seedbed:
    """Where machines of a lab are grown.

    Attributes:
        provider: who makes the machines that are copied.
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

    def grow(self, nodes: Sequence[str]) -> None:
        """Make running machines of these nodes, which have none.

        Raises:
            BootError: a machine to copy did not boot.
            SnapshotError: one could not be saved or copied.
        """
        machines = {one.node.name: one for one in self.layout.machines if one.node.name in nodes}
        seeds = self._seeds(sorted(set(map(_shape, machines.values()))))
        for seed in seeds.values():
            saved_machines.stage(self.saver, seed, _SAVED)
        host_keys = {node: keys.ssh_pair(node) for node in machines}
        _know(self.layout, {str(one.address): host_keys[node][1] for node, one in machines.items()})
        with TemporaryDirectory(prefix="labctl-") as pipes:

            def copy(node: str) -> None:
                machine = machines[node]
                self._copy(seeds[_shape(machine)], machine, Path(pipes))
                self._introduce(machine, *host_keys[node])

            each(list(machines), copy)
        for seed in seeds.values():
            seed.note_use()

    def _copy(self, seed: Snapshot, machine: Machine, pipes: Path) -> None:
        node = machine.node.name
        self.view.node(node, "copied")
        identity = Identity(machine.domain, str(uuid.uuid4()), machine.mac, command_line(self.layout, node))
        saved_machines.bring_back(
            self.saver, seed, _SAVED, layout=self.layout, node=node, pipes=pipes, identity=identity
        )
        self.saver.adopt(self.layout.directory, node, identity)
        self.saver.resume(self.layout.lab, node)

    def _introduce(self, machine: Machine, private: str, public: str) -> None:
        """Tell a copy who it is, with this host key."""
        script = _BECOME.format(
            now=f"{time.time():.3f}",
            random=os.urandom(64).hex(),
            node=quote(machine.node.name),
            machine_id=uuid.uuid4().hex,
            host_key=quote(public.strip()),
            lab_key=quote(bare_key(self.layout.public_key)),
            mac=machine.mac,
        )
        node = machine.node.name
        answer = self.saver.tell(self.layout.lab, node, script, stdin=private, deadline=_TOLD)
        if answer.code != 0:
            raise SnapshotError(f"the copy for {node} does not become who it is", why=answer.stderr.strip())
        self.view.node(node, "knows who it is")

    # The machines that are copied

    def _seeds(self, shapes: Sequence[Shape]) -> dict[Shape, Snapshot]:
        """A saved machine of each shape; those that are not there yet are made."""
        kept = {shape: self._kept(shape) for shape in shapes}
        missing = [shape for shape, seed in kept.items() if seed is None]
        planted = self._planted(missing) if missing else {}
        return {shape: seed or planted[shape] for shape, seed in kept.items()}

    def _kept(self, shape: Shape) -> Snapshot | None:
        """The saved machine of this shape, if there is a whole one that this host can bring back."""
        for seed in snapshots.of_key(self._key(shape)):
            if seed.host == self.host:
                with suppress(SnapshotError):
                    snapshots.check(seed)
                    return seed
        return None

    def _key(self, shape: Shape) -> str:
        """Content hash of all that a saved machine of this shape is made of."""
        digest = hashlib.sha256(resource("Vagrantfile.j2").read_bytes())
        digest.update(repr((self.layout.box.name, shape, _FORGET)).encode())
        return f"seed-{digest.hexdigest()[:16]}"

    def _planted(self, shapes: Sequence[Shape]) -> dict[Shape, Snapshot]:
        """A machine of each shape, booted and saved; none of them is there afterwards."""
        self.view.note(f"booting one machine of each shape ({len(shapes)}); the others are copies")
        own = replace(self, layout=_nobodies(self.layout, shapes))
        names = {machine.node.name: _shape(machine) for machine in own.layout.machines}
        try:
            own.boot(list(names))
            saved = each(list(names), lambda name: own.saved(name, self._key(names[name])))
            return dict(zip(names.values(), saved, strict=True))
        finally:
            for name in names:
                self.provider.remove(self.layout.lab, name, own.layout.directory)
            shutil.rmtree(own.layout.directory, ignore_errors=True)

    def boot(self, names: Sequence[str]) -> None:
        """Make these machines, and wait until they have booted and forgotten who they are."""
        booted, failed = Event(), Event()
        with ThreadPoolExecutor(max_workers=len(names) + 1) as pool:
            waits = [pool.submit(self._forgets, name, failed) for name in names]
            made = pool.submit(self.provider.make, self.layout, names, self.view, self.log, booted)
            try:
                for first in as_completed([*waits, made]):
                    first.result()
                    if all(one.done() for one in waits):
                        booted.set()  # the provider need not wait until they answer over the network: they never will
            finally:
                failed.set()
                booted.set()

    def _forgets(self, name: str, failed: Event) -> None:
        deadline = _DEADLINE[self.layout.driver]
        end = time.monotonic() + deadline
        while not failed.is_set():
            try:
                self.saver.tell(self.layout.lab, name, _FORGET, deadline=deadline)
            except BootError as error:  # there is no machine yet, or its agent has not been started
                if time.monotonic() > end:
                    raise BootError(
                        f"a machine to copy did not boot within {deadline:.0f} s",
                        why=str(error),
                        hint=f"the log: {self.log}; then labctl up {self.layout.lab} again",
                    ) from error
                time.sleep(_POLL)
            else:
                self.view.node(name, "booted", "ok")
                return

    def saved(self, name: str, key: str) -> Snapshot:
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


def _nobodies(layout: Layout, shapes: Iterable[Shape]) -> Layout:
    """The machines to copy, as a lab in a folder of the lab's. They need no address, and get none."""

    def machine(shape: Shape) -> Machine:
        name = _NAME.format(cpus=shape.cpus, memory=shape.memory)
        node = replace(layout.machines[0].node, name=name, cpus=shape.cpus, memory=shape.memory, gpus=0)
        return Machine(node, f"{layout.prefix}{name}", addresses.mac(layout.lab, name), IPv4Address(0))

    directory = layout.directory / _FOLDER
    shutil.rmtree(directory, ignore_errors=True)  # of one that was cut off
    (directory / "logs").mkdir(parents=True)
    own = replace(
        layout,
        machines=tuple(map(machine, shapes)),
        directory=directory,
        public_key=secrets.ssh_key(directory / "id_ed25519", "nobody"),  # Vagrant wants to see one
    )
    (directory / "Vagrantfile").write_text(vagrantfile(own))
    return own


def _know(layout: Layout, public: Mapping[str, str]) -> None:
    """Note the host keys that the machines at these addresses are about to get: nobody else is taken for them."""
    with (layout.directory / "known_hosts").open("a") as known:
        known.writelines(f"{address} {bare_key(key)}\n" for address, key in public.items())
