"""Copies: the machines of a lab are brought back from saved ones that are nobody, and each is told who it is."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from labctl import saved_machines, scratch
from labctl.console import StepView
from labctl.errors import BootError, SnapshotError
from labctl.providers.base import Answer, Identity, Saver
from labctl.render.layout import Layout, Machine
from labctl.render.vagrantfile import bare_key, command_line
from labctl.side_by_side import each
from labctl.snapshots import Snapshot

_DEADLINE = 60.0  # seconds until a copy must have become who it is
_POLL = 0.5  # seconds between two attempts to tell it

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


def make(saver: Saver, layout: Layout, seeds: Mapping[str, Snapshot], view: StepView) -> None:
    """Make running machines of nodes that have none.

    Args:
        saver: the provider's.
        layout: the lab.
        seeds: for each node the saved machine, of its shape, that it becomes a copy of.
        view: is told of each node.

    Raises:
        SnapshotError: one could not be copied, or does not become who it is.
    """
    from labctl import keys  # noqa: PLC0415 - a slow import

    machines = {one.node.name: one for one in layout.machines if one.node.name in seeds}
    host_keys = {node: keys.ssh_pair(node) for node in machines}
    _know(layout, {str(machine.address): host_keys[node][1] for node, machine in machines.items()})
    with scratch.scratch(layout.lab, "pipes") as pipes:

        def one(node: str) -> None:
            view.node(node, "copied")
            _copy(saver, layout, machines[node], seeds[node], pipes)
            _introduce(saver, layout, machines[node], *host_keys[node])
            view.node(node, "knows who it is")

        each([*machines], one)


def _know(layout: Layout, public: Mapping[str, str]) -> None:
    """Note the host keys that the machines at these addresses are about to get: nobody else is taken for them."""
    with (layout.directory / "known_hosts").open("a") as known:
        known.writelines(f"{address} {bare_key(key)}\n" for address, key in public.items())


def _copy(saver: Saver, layout: Layout, machine: Machine, seed: Snapshot, pipes: Path) -> None:
    """Have a machine go on from where the saved one stood still, under its own name and with its own network card."""
    node = machine.node.name
    (saved,) = seed.nodes
    identity = Identity(machine.domain, str(uuid.uuid4()), machine.mac, command_line(layout, node))
    saved_machines.bring_back(saver, seed, saved, layout=layout, node=node, pipes=pipes, identity=identity)
    saver.adopt(layout.directory, node, identity)
    saver.resume(layout.lab, node)


def _introduce(saver: Saver, layout: Layout, machine: Machine, private: str, public: str) -> None:
    """Tell a copy who it is, with this host key."""
    node = machine.node.name
    script = _BECOME.format(
        now=f"{time.time():.3f}",
        random=os.urandom(64).hex(),
        node=quote(node),
        machine_id=uuid.uuid4().hex,
        host_key=quote(public.strip()),
        lab_key=quote(bare_key(layout.public_key)),
        mac=machine.mac,
    )
    answer = _told(saver, layout.lab, node, script, private)
    if answer.code != 0:
        raise SnapshotError(f"the copy for {node} does not become who it is", why=answer.stderr.strip())


def _told(saver: Saver, lab: str, node: str, script: str, stdin: str) -> Answer:
    """How a script ended in a copy. It may run there twice: many that wake up at once answer late."""
    end = time.monotonic() + _DEADLINE
    while True:
        # What is left may be nothing after a sleep that took longer: the last time still gets a moment.
        left = max(_POLL, end - time.monotonic())
        try:
            return saver.tell(lab, node, script, stdin=stdin, deadline=left)
        except BootError as error:
            if time.monotonic() + _POLL > end:
                raise SnapshotError(f"the copy for {node} does not answer", why=str(error)) from error
            time.sleep(_POLL)
