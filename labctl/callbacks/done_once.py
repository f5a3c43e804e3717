"""Spares Ansible's workers what each of them would do anew: Ansible forks one for every task of every host.

Two things cost more than the tasks themselves where nothing changes. A worker that meets its first filter loads
every file of filters there is, with what those import; so they are loaded before the first fork. And it compiles each
template that it needs, as the worker of the next host will; so compiled templates are left in a folder for the others.

And what is loaded is shared with the workers until somebody writes to it, as Python's search for garbage does: nobody
looks for garbage there, nor in any worker, which is gone before there is any.
"""

from __future__ import annotations

import gc
import hashlib
import marshal
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader, test_loader
from jinja2 import Environment

DOCUMENTATION = """
name: done_once
type: aggregate
short_description: spares the workers what each of them would do anew
description:
  - Loads all filters and tests before the first worker is forked.
  - Keeps the search for garbage away from what is loaded then, and out of the workers.
  - Keeps compiled templates in the folder that LABCTL_TEMPLATES names. It must be the user's alone.
"""

Compile = Callable[..., CodeType]


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "done_once"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, _playbook: object) -> None:
        """Everything that is here now is there in each worker."""
        for loader in (filter_loader, test_loader):
            list(loader.all())
        gc.collect()
        gc.freeze()
        os.register_at_fork(after_in_child=gc.disable)
        folder = os.environ.get("LABCTL_TEMPLATES")
        if folder:
            Environment.compile = kept(Environment.compile, Path(folder))  # type: ignore[assignment,method-assign]


def kept(compile_: Compile, folder: Path) -> Compile:
    """Jinja's `Environment.compile`, with what it makes kept in a folder for other processes."""

    def compiled(self: Environment, source: Any, *args: Any, **options: Any) -> CodeType:
        if args or options:  # a file that a template includes: what it is compiled to knows its name
            return compile_(self, source, *args, **options)
        # An expression comes parsed, and the repr of its nodes is all that there is in them.
        file = folder / hashlib.sha256(repr((source, _settings(self))).encode()).hexdigest()
        with suppress(OSError):
            found: CodeType = marshal.loads(file.read_bytes())  # noqa: S302 - our own folder
            return found
        made = compile_(self, source)
        with suppress(OSError), tempfile.NamedTemporaryFile(dir=folder, delete=False) as draft:
            draft.write(marshal.dumps(made))
            draft.flush()
            Path(draft.name).rename(file)
        return made

    return compiled


def _settings(environment: Environment) -> tuple[object, ...]:
    """What decides, beside its text, what a template is compiled to."""
    simple = (str, int, type(None))
    own = {name: value for name, value in vars(environment).items() if isinstance(value, simple)}
    return type(environment).__name__, sorted(own.items()), _backslashes()


def _backslashes() -> object:
    """Whether Ansible has backslashes escaped in what it compiles now; newer ones say so beside the environment."""
    try:
        from ansible._internal._templating._jinja_bits import _TemplateCompileContext  # noqa: PLC0415
    except ImportError:
        return None
    return _TemplateCompileContext.current(optional=True)
