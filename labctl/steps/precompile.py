"""Precompile: what Ansible runs on every node, compiled and kept in a box while it is built.

Run as a program within mmdebstrap, with the tree: Mitogen starts the tree's own Python, and Ansible's code goes there
as it goes to a node, so that what is kept is what will be asked for. What changes later is compiled by the first that
needs it; see ``boxes/debian-12/kept_code.py``. What was imported on the way is loaded at once by the machines' warm
Python, see ``warm_python.py`` beside it.
"""

from __future__ import annotations

import importlib
import importlib.util
import marshal
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

#: What the warm Python of a machine loads, in the tree.
WARM = "/usr/lib/warm_python/modules"

_MODULES = re.compile(r"ansible\.builtin\.([a-z_]+)")
# Modules that others call: the actions template, copy and fetch, and gathering facts.
_PARTS = ("stat", "setup")
# Modules that are run, and not imported; and this one.
_NOT_SHARED = ("ansible.modules", "labctl")
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


def keep_loaded(file: str) -> None:
    """In the tree: keep what Mitogen has sent, and in which order it was imported, for ``warm_python.py``."""
    importer = next(one for one in sys.meta_path if type(one).__name__ == "Importer")
    sent = {name: _plain(module) for name, module in vars(importer)["_cache"].items() if module[3]}
    names = [name for name in sys.modules if name in sent or _on_disk(name)]
    names = [name for name in names if not name.startswith(_NOT_SHARED)]
    Path(file).write_bytes(marshal.dumps((names, list(sent.values()))))


def _on_disk(name: str) -> bool:
    """Whether a module is the tree's own Python's."""
    spec = getattr(sys.modules[name], "__spec__", None)
    return spec is not None and (spec.origin or "").startswith(("built-in", "frozen", "/usr/"))


def _plain(module: Sequence[Any]) -> tuple[object, ...]:
    """A module as Mitogen has it, without Mitogen's own types: name, submodules, path, text, what it goes with."""
    name, submodules, path, text, related = module
    submodules = None if submodules is None else [str(one) for one in submodules]
    return str(name), submodules, str(path), bytes(text), [str(one) for one in related]


def fill(tree: Path, roles: Path, warm: str = WARM) -> None:
    """Have the tree's Python compile and keep what these roles will run; what it imported goes to the file `warm`."""
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
        python.call(here.keep_loaded, warm)
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
