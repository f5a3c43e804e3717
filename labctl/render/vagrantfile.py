"""A lab's Vagrantfile."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.errors import BootError
from labctl.render.layout import Layout
from labctl.render.templates import render

#: Seconds until Vagrant gives up on a machine's SSH. Six machines under software emulation on two cores
#: take 90.
BOOT_TIMEOUT = {"kvm": 300, "qemu": 900}
#: COMMAND_LINE_SIZE of Linux on x86; what is longer is cut off without a word.
LONGEST_COMMAND_LINE = 2048
#: What a kernel is told about the hardware it runs on. Software emulation has no speculation to guard against, but
#: each guard costs: page table isolation empties QEMU's cache of translations at every system call. And a machine that
#: gets no CPU while it boots misses ticks of its timer, upon which the kernel panics ("IO-APIC + timer doesn't work!")
#: unless it is told not to check. And QEMU finds what it has translated by virtual address: where each process has its
#: libraries elsewhere, each program that starts is translated anew, and takes two to four times as much CPU for that.
#: The other words spare it what it does at system calls, allocations and switches of tasks, and nobody asks of a
#: machine that is emulated; nor that it tests its ciphers, in which one with four CPUs once hung. With KVM it needs
#: its guards and gets its ticks.
KERNEL_WORDS = {
    "kvm": (),
    "qemu": (
        "mitigations=off",
        "no_timer_check",
        "norandmaps",
        "audit=0",
        "init_on_alloc=0",
        "randomize_kstack_offset=off",
        "psi=0",
        "preempt=none",
        "lsm=yama",
        "cryptomgr.notests",
    ),
}


def vagrantfile(layout: Layout) -> str:
    """The text of the lab's Vagrantfile, for the layout's provider.

    Raises:
        BootError: the kernel's command line would be cut off.
    """
    key = bare_key(layout.public_key)
    lines = {machine.node.name: command_line(layout, machine.node.name) for machine in layout.machines}
    if layout.box.kernel:
        _check_length(lines.values())
    return render(
        "Vagrantfile.j2",
        lab=layout.lab,
        provider=layout.provider,
        driver=layout.driver,
        box=layout.box,
        network=layout.network,
        machines=layout.machines,
        directory=layout.directory,
        prefix=layout.prefix,
        pool=layout.pool,
        public_key=key,
        command_lines=lines,
        boot_timeout=BOOT_TIMEOUT[layout.driver],
    )


def command_line(layout: Layout, node: str) -> str:
    """What a node's kernel is started with, if its box does not boot by itself.

    It also carries the node's name and the lab's public key: systemd writes the credential to
    /root/.ssh/authorized_keys.
    """
    credential = f'systemd.set_credential="ssh.authorized_keys.root:{bare_key(layout.public_key)}"'
    words = [f"root={layout.box.root}", "rw", "console=ttyS0", "quiet", *KERNEL_WORDS[layout.driver]]
    return " ".join([*words, f"systemd.hostname={node}", credential])


def bare_key(public_key: str) -> str:
    """Type and key without the comment, which could hold anything that the kernel and XML take ill."""
    return " ".join(public_key.split()[:2])


def _check_length(lines: Iterable[str]) -> None:
    length = max(map(len, lines))
    if length >= LONGEST_COMMAND_LINE:
        raise BootError(
            "the kernel's command line would be cut off",
            why=f"It would have {length} characters; the kernel takes {LONGEST_COMMAND_LINE - 1}.",
            hint="Give the lab a shorter SSH key, such as ed25519.",
        )
