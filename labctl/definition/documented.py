"""The JSON Schema of a definition, with what each key means: the text below each field of `models`.

Pydantic would read these texts itself (``use_attribute_docstrings``), but whenever the models are imported, which takes
a tenth of the CPU of a command that only looks at a lab.
"""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from labctl.definition import models


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of one of the models, and of all that it is made of."""
    meanings = {
        one.name: _meanings(one)
        for one in ast.parse(inspect.getsource(models)).body
        if isinstance(one, ast.ClassDef)
    }
    whole = model.model_json_schema()
    for name, part in {model.__name__: whole, **whole.get("$defs", {})}.items():
        for key, entry in part["properties"].items():
            entry["description"] = meanings[name][key]
    return whole


def _meanings(model: ast.ClassDef) -> dict[str, str]:
    """The text right below each of a model's fields."""
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(model.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
