"""Precompile: what Ansible runs on every node, compiled and kept in a box while it is built.

Run as a program within mmdebstrap, with the tree: Mitogen starts the tree's own Python, and Ansible's code goes there
as it goes to a node, so that what is kept is what will be asked for. What changes later is compiled by the first that
needs it; see ``boxes/debian-12/kept_code.py``.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_MODULES = re.compile(r"ansible\.builtin\.([a-z_]+)")
# Modules that others call: the actions template, copy and fetch, and gathering facts.
_PARTS = ("stat", "setup")
_PYTHON = "/usr/bin/python3"
_PATIENCE = 120.0  # seconds until Python has answered


def names(roles: Path) -> list[str]:
    """The modules of Ansible's that these roles call."""
    tasks = "".join(path.read_text() for path in sorted(roles.glob("*/tasks/*.yml")))
    return [f"ansible.modules.{name}" for name in sorted({*_MODULES.findall(tasks), *_PARTS})]


def own(roles: Path) -> list[Path]:
    """The roles' own modules, each once."""
    return sorted({path.resolve() for path in roles.glob("*/library/*.py")})


def load(modules: Iterable[str]) -> None:
    """In the tree: import these, and all that they need."""
    for name in modules:
        importlib.import_module(name)


def keep(text: bytes) -> None:
    """In the tree: compile a module as Ansible is about to."""
    compile(text, "module", "exec", 0, True)


def fill(tree: Path, roles: Path) -> None:
    """Have the tree's Python compile, and so keep, what these roles will run."""
    import mitogen.core  # noqa: PLC0415 - this module goes to the tree, that one is there
    import mitogen.master  # noqa: PLC0415

    here = importlib.import_module("labctl.steps.precompile")  # as it is called there, not __main__
    broker = mitogen.master.Broker()
    try:
        router = mitogen.master.Router(broker)
        # Ansible's own before what the tree may have, as its strategy does.
        for prefix in ("ansible", "ansible_mitogen", "labctl"):
            router.responder.whitelist_prefix(prefix)
        python = router.local(python_path=["chroot", str(tree), _PYTHON], connect_timeout=_PATIENCE)
        python.call(here.load, ["ansible_mitogen.target", *names(roles)])
        for text in _texts(roles):
            python.call(here.keep, mitogen.core.Blob(text))
    finally:
        broker.shutdown()
        broker.join()


def _texts(roles: Path) -> Iterator[bytes]:
    """The modules that a node is sent as they are: Ansible's and the roles' own."""
    for name in names(roles):
        found = importlib.util.find_spec(name)
        if found and found.origin:
            yield Path(found.origin).read_bytes()
    for path in own(roles):
        yield path.read_bytes()


if __name__ == "__main__":
    from labctl.resources import resource

    fill(Path(sys.argv[1]), resource("roles"))
