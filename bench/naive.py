"""The way people do it today: `vagrant up` of a plain box, and `ansible-playbook` with its default settings.

`python -m bench.naive prepare` makes the box and the mirror (needs the network, once), and
`python -m bench.naive run` measures this alone.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import libvirt

from bench import naive_files, plain_box, programs
from bench.plain_box import GATEWAY, MIRROR_PORT, Prepared
from bench.programs import BenchError
from labctl import kvm, secrets
from labctl.definition import loading
from labctl.definition.models import Definition
from labctl.errors import LabError
from labctl.process import end, search_path
from labctl.providers.libvirt import Hypervisor
from labctl.render.layout import Driver
from labctl.resources import resource
from labctl.steps import box

#: vagrant-libvirt names machines after the folder of the Vagrantfile.
PROJECT = "bench-naive"
NETWORK = "vagrant-libvirt"
_ROOMS = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it
_ANSIBLE = str(Path(sys.executable).with_name("ansible-playbook"))
_AD_HOC = str(Path(sys.executable).with_name("ansible"))
_JOURNAL = ["-m", "ansible.builtin.command", "-a", "journalctl --boot --no-pager --lines 400"]
# Seconds; generous, for machines that are emulated.
_UP, _PLAY, _SMALL = 3600.0, 7200.0, 600.0


def require_prepared() -> Prepared:
    """The box and the mirror.

    Raises:
        BenchError: they have not been made.
    """
    found = plain_box.prepared()
    if found is None:
        raise BenchError(
            "the plain box and the mirror of packages are not there",
            hint="python -m bench.naive prepare, where there is a network; or --skip-naive",
        )
    return found


def measure(
    definition: Definition, driver: Driver, log: Path, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Make the cluster as people do, destroy it, and return the seconds of both steps.

    What we do between the steps, such as writing the inventory, is not counted.

    Raises:
        LabError: it could not be made.
    """
    start = require_prepared()
    hypervisor = Hypervisor()
    refuse_strangers(hypervisor)
    had_network = _network(hypervisor) is not None
    with tempfile.TemporaryDirectory(prefix="labctl-naive.", dir=_ROOMS) as name:
        room = Path(name)
        room.chmod(0o711)  # QEMU's own user reads the kernel in there
        project, env = room / PROJECT, _vagrant_environment(room)
        project.mkdir()
        (project / "Vagrantfile").write_text(naive_files.vagrantfile(definition.machines(), driver))

        def vagrant(*words: str, deadline: float) -> None:
            programs.run(["vagrant", *words], deadline=deadline, log=log, cwd=project, env=env)

        try:
            vagrant("box", "add", "--name", naive_files.BOX, str(start.box), deadline=_SMALL)
            say("naive: vagrant up")
            up = _seconds(lambda: vagrant("up", "--provider=libvirt", deadline=_UP))
            said = programs.output(["vagrant", "ssh-config"], deadline=_SMALL, cwd=project, env=env)
            write_inventory(definition, naive_files.logins(said), project)
            with serving(start.mirror, GATEWAY, MIRROR_PORT, log):
                say("naive: ansible-playbook")
                play = _seconds(lambda: run_playbook(project, log))
        finally:
            _destroy(hypervisor, vagrant, keep_network=had_network)
    return [{"step": "vagrant up", "seconds": up}, {"step": "ansible-playbook", "seconds": play}]


def write_inventory(definition: Definition, by_name: Mapping[str, naive_files.Login], project: Path) -> None:
    """All that Ansible needs, in the project's folder."""
    directory = project / "inventory"
    (directory / "group_vars" / "all").mkdir(parents=True)
    (directory / "host_vars").mkdir()
    key = secrets.ssh_key(project / "id_ed25519", PROJECT)
    of = naive_files.layout(definition, by_name, gateway=GATEWAY, directory=project, public_key=key)
    users = [user.name for user in definition.users]
    known = secrets.load_or_generate(project / "secrets.yml", of.lab, of.machines, users)
    for path, text in naive_files.variables(of, known).items():
        (project / path).write_text(text)
    (directory / "hosts.ini").write_text(naive_files.hosts(definition.machines(), by_name))
    (project / "ansible.cfg").write_text(naive_files.ansible_cfg(resource("roles")))
    (project / "site.yml").write_text(naive_files.playbook(resource("playbooks") / "site.yml"))


def ansible_environment(inherited: Mapping[str, str], project: Path) -> dict[str, str]:
    """Ansible as it comes, with the project's configuration and nobody else's."""
    own = {key: value for key, value in inherited.items() if not key.startswith("ANSIBLE_")}
    return {
        **own,
        "PATH": f"{Path(_ANSIBLE).parent}:{search_path()}",
        "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
    }


@contextmanager
def serving(folder: Path, address: str, port: int, log: Path) -> Iterator[None]:
    """A folder served over HTTP, to those who reach this address.

    Raises:
        BenchError: the server does not start, because the host does not have the address or the port is taken.
    """
    try:
        socket.create_server((address, port)).close()
    except OSError as error:
        raise BenchError(f"the mirror cannot be served at {address}:{port}", why=str(error)) from error
    command = [sys.executable, "-m", "http.server", str(port), "--bind", address, "--directory", str(folder)]
    with log.open("a", encoding="utf-8") as stream:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, text=True, start_new_session=True
        )
    try:
        _await_server(server, address, port, log)
        yield
    finally:
        end(server, patience=5)


def _await_server(server: subprocess.Popen[str], address: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection((address, port), timeout=1):
            return
        time.sleep(0.1)
    raise BenchError(f"the mirror at {address}:{port} does not answer", hint=f"the log: {log}")


def run_playbook(project: Path, log: Path) -> None:
    """Run the playbook; if it fails, the machines' journals go to the log before they are gone.

    Raises:
        BenchError: it failed, or took too long.
    """
    env = ansible_environment(os.environ, project)
    try:
        command = [_ANSIBLE, "-i", "inventory", "site.yml"]
        programs.run(command, deadline=_PLAY, log=log, cwd=project, env=env)
    except BenchError:
        with suppress(BenchError):
            command = [_AD_HOC, "all", "-i", "inventory", *_JOURNAL]
            programs.run(command, deadline=_SMALL, log=log, cwd=project, env=env)
        raise


def _vagrant_environment(room: Path) -> dict[str, str]:
    """Vagrant with a home of its own, so that it knows nothing of the user's boxes and leaves none behind."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("VAGRANT_")}
    home = {"VAGRANT_HOME": str(room / "vagrant"), "VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_NO_COLOR": "1"}
    return {**own, **home}


def _seconds(work: Callable[[], None]) -> float:
    started = time.monotonic()
    work()
    return round(time.monotonic() - started, 2)


def refuse_strangers(hypervisor: Hypervisor) -> None:
    """Keep away from what is not ours: it would be destroyed at the end, or share our network.

    Raises:
        BenchError: the host has something of our names.
    """
    taken = [domain.name() for domain in hypervisor.connection.listAllDomains() if _ours(domain.name())]
    network = _network(hypervisor)
    if taken:
        raise BenchError(f"this host has a machine {taken[0]} already", hint=f"virsh undefine {taken[0]}")
    if network is not None and f"'{GATEWAY}'" not in network.XMLDesc():
        raise BenchError(
            f"the network {NETWORK} of this host is not where it is by default",
            why=f"The plain box takes its packages from {GATEWAY}.",
            hint="scripts/in-netns make bench",
        )


def _ours(name: str) -> bool:
    return name.startswith((f"{PROJECT}_", f"{naive_files.BOX}_vagrant_box_image_"))


def _network(hypervisor: Hypervisor) -> Any | None:
    found = [network for network in hypervisor.connection.listAllNetworks() if network.name() == NETWORK]
    return found[0] if found else None


def _destroy(hypervisor: Hypervisor, vagrant: Callable[..., None], *, keep_network: bool) -> None:
    """All of it gone: by Vagrant, and by libvirt what Vagrant has forgotten or never deletes (the box's volume).

    Raises:
        BenchError: libvirt could not remove something.
    """
    with suppress(BenchError):  # it complains of machines that it never came to make
        vagrant("destroy", "--force", "--parallel", deadline=_SMALL)
    try:
        _sweep(hypervisor.connection)
        network = _network(hypervisor)
        if network is not None and not keep_network:
            persistent = network.isPersistent()  # one that is not is gone once it is down
            if network.isActive():
                network.destroy()
            if persistent:
                network.undefine()
    except libvirt.libvirtError as error:
        raise BenchError(f"something of {PROJECT} is left in libvirt", why=str(error)) from error


def _sweep(connection: Any) -> None:
    for domain in connection.listAllDomains():
        if _ours(domain.name()):
            if domain.isActive():
                domain.destroy()
            domain.undefine()
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        pool.refresh()
        for volume in pool.listAllVolumes():
            if _ours(volume.name()):
                volume.delete()


def default_log() -> Path:
    """Where the benchmark's programs say what they do."""
    path = Path(__file__).parent.parent / "build" / "bench.log"
    path.parent.mkdir(exist_ok=True)
    return path


def _run(preset: str, log: Path) -> None:
    own = box.current(loading.load(preset).box)
    driver = kvm.driver(own.kernel if own else None, own.initrd if own else None)
    for step in measure(loading.load(preset), driver, log, print):
        print(f"{step['step']}: {step['seconds']:.1f} s")


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m bench.naive`."""
    parser = argparse.ArgumentParser(prog="python -m bench.naive", description="The way people do it today.")
    parser.add_argument("what", choices=("prepare", "run"), help="make box and mirror, or measure")
    parser.add_argument("--preset", default="full", help="whose machines (default: %(default)s)")
    chosen = parser.parse_args(argv)
    log = default_log()
    try:
        with programs.interruptible():
            if chosen.what == "prepare":
                made = plain_box.prepare(log, print)
                print(f"naive: a box of {made.box.stat().st_size // 1024**2} MiB, {made.packages} packages")
            else:
                _run(chosen.preset, log)
    except LabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
