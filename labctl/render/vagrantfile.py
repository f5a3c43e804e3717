"""A lab's Vagrantfile."""

from __future__ import annotations

from labctl.errors import BootError
from labctl.render.layout import Layout
from labctl.render.templates import render

#: Seconds until Vagrant gives up on a machine's SSH. Six machines under software emulation on two cores
#: take 90.
BOOT_TIMEOUT = {"kvm": 300, "qemu": 900}
#: COMMAND_LINE_SIZE of Linux on x86; what is longer is cut off without a word.
LONGEST_COMMAND_LINE = 2048


def vagrantfile(layout: Layout) -> str:
    """The text of the lab's Vagrantfile, for the layout's provider.

    Raises:
        BootError: the kernel's command line would be cut off.
    """
    key = bare_key(layout.public_key)
    words = kernel_words(layout.box.root, layout.driver)
    if layout.box.kernel:
        _check_length(layout, words, key)
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
        kernel_words=words,
        boot_timeout=BOOT_TIMEOUT[layout.driver],
    )


def kernel_words(root: str, driver: str) -> list[str]:
    """The kernel's command line, but for the words that differ from node to node.

    Under software emulation there is no speculation to guard against, but each guard costs: with page table
    isolation every system call empties QEMU's cache of translations.
    """
    guards = ["mitigations=off"] if driver == "qemu" else []
    return [f"root={root}", "rw", "console=ttyS0", "quiet", *guards]


def bare_key(public_key: str) -> str:
    """Type and key without the comment, which could hold anything that the kernel and XML take ill."""
    return " ".join(public_key.split()[:2])


def _check_length(layout: Layout, words: list[str], key: str) -> None:
    longest = max(len(machine.node.name) for machine in layout.machines)
    own = 'systemd.hostname= systemd.set_credential="ssh.authorized_keys.root:"'
    length = len(" ".join(words)) + 1 + len(own) + longest + len(key)
    if length >= LONGEST_COMMAND_LINE:
        raise BootError(
            "the kernel's command line would be cut off",
            why=f"It would have {length} characters; the kernel takes {LONGEST_COMMAND_LINE - 1}.",
            hint="Give the lab a shorter SSH key, such as ed25519.",
        )
