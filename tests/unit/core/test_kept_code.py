"""Compiled code is kept in a box, and what a node's Python makes of a text is what it would make without that."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import marshal
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from programs import Programs

from labctl.definition import shipped
from labctl.resources import resource
from labctl.steps import precompile

TEXT = "value = 1\n" + "# a comment\n" * 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def kept_code(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("kept_code", shipped.BOXES / "debian-12" / "kept_code.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder.mkdir()
    module.FOLDER = str(folder)  # type: ignore[attr-defined]
    return module


def value(code: object) -> object:
    space: dict[str, object] = {}
    exec(code, space)  # type: ignore[call-overload]  # noqa: S102 - our own
    return space["value"]


def test_a_text_is_compiled_once(
    kept_code: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert value(kept_code.compile(TEXT, "a", "exec", 0, True)) == 1
    (file,) = folder.iterdir()
    assert marshal.loads(file.read_bytes()).co_filename == "a"  # noqa: S302 - our own
    monkeypatch.setattr(kept_code, "_compile", None)
    assert value(kept_code.compile(TEXT, "b", "exec", flags=0, dont_inherit=True)) == 1


def test_another_text_or_another_form_is_something_else(kept_code: ModuleType, folder: Path) -> None:
    for text in (TEXT, TEXT.encode(), TEXT.replace("1", "2")):
        kept_code.compile(text, "a", "exec", 0, True)
    assert len(list(folder.iterdir())) == 3
    assert value(kept_code.compile(TEXT.replace("1", "2"), "a", "exec", 0, True)) == 2


@pytest.mark.parametrize("content", [b"", b"half", marshal.dumps(TEXT)[:20]])
def test_what_was_cut_short_is_compiled_again(kept_code: ModuleType, folder: Path, content: bytes) -> None:
    kept_code.compile(TEXT, "a", "exec", 0, True)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(content)
    assert value(kept_code.compile(TEXT, "a", "exec", 0, True)) == 1
    assert [path.read_bytes() for path in folder.iterdir()] == [whole]


def test_without_room_it_is_compiled_all_the_same(kept_code: ModuleType, folder: Path) -> None:
    shutil.rmtree(folder)
    assert value(kept_code.compile(TEXT, "a", "exec", 0, True)) == 1


def test_what_asks_for_more_than_a_whole_module_is_pythons_own(kept_code: ModuleType, folder: Path) -> None:
    assert eval(kept_code.compile("1 + 1", "a", "eval")) == 2  # noqa: S307 - our own
    assert isinstance(kept_code.compile(TEXT, "a", "exec", ast.PyCF_ONLY_AST, True), ast.Module)
    kept_code.compile("value = 1", "a", "exec", 0, True)
    kept_code.compile(TEXT, "a", "exec")
    assert not list(folder.iterdir())
    with pytest.raises(SyntaxError, match="invalid syntax"):
        kept_code.compile("value = = " + TEXT, "a", "exec", 0, True)


def test_a_text_inherits_from_whoever_had_it_compiled(kept_code: ModuleType) -> None:
    """As with Python's own; this file has `from __future__ import annotations`, the other asks for nothing."""
    text = "def f(x: int) -> None: ...\nvalue = f.__annotations__['x']"
    assert value(kept_code.compile(text, "a", "exec")) == value(compile(text, "a", "exec")) == "int"
    assert value(kept_code.compile(text, "a", "exec", 0, True)) is int


def test_it_begins_where_a_box_has_the_folder(
    kept_code: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "compile", compile)  # so that it is put back
    monkeypatch.setattr(kept_code.os, "geteuid", lambda: 1000)
    kept_code.install()
    assert builtins.compile is not kept_code.compile
    monkeypatch.setattr(kept_code.os, "geteuid", lambda: 0)
    shutil.rmtree(folder)
    kept_code.install()
    assert builtins.compile is not kept_code.compile
    folder.mkdir()
    kept_code.install()
    assert builtins.compile is kept_code.compile


@pytest.fixture
def tree(programs: Programs, tmp_path: Path) -> Path:
    """A tree whose Python is this one; what was compiled in it is in `compiled`."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import builtins\nreal = builtins.compile\n"
        "def noted(text, name, *rest, **more):\n"
        f"    open({str(tmp_path / 'compiled')!r}, 'a').write(f'{{name}}\\n')\n"
        "    return real(text, name, *rest, **more)\n"
        "builtins.compile = noted\n"
    )
    programs.add("chroot", f'shift 2; PYTHONPATH={tmp_path / "site"} exec {sys.executable} "$@"')
    return tmp_path


def test_a_box_has_compiled_what_the_roles_run(tree: Path) -> None:
    precompile.fill(tree, resource("roles"), str(tree / "modules"))
    compiled = (tree / "compiled").read_text().splitlines()
    for file in ("ansible_mitogen/runner.py", "ansible/module_utils/basic.py", "ansible/modules/apt.py"):
        assert [name for name in compiled if name.endswith(file)], file
    own = [path.name for path in precompile.own(resource("roles"))]
    assert {"written_files.py", "current_services.py"} <= set(own)
    assert compiled.count("module") == len(own) + len(precompile.names(resource("roles")))


def test_modules_are_those_that_roles_call() -> None:
    names = precompile.names(resource("roles"))
    assert {"ansible.modules.apt", "ansible.modules.command", "ansible.modules.stat"} <= set(names)
    assert all(importlib.util.find_spec(name) for name in names)
