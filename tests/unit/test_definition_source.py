"""YAML that is none, or that means harm, is refused with its line."""

from __future__ import annotations

import pytest

from labctl.definition.loading import loads
from labctl.errors import DefinitionError

BOMB = "\n".join(
    ["vars:", "  a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "is empty"),
        ("# nothing\n", 1, "is empty"),
        ("- a\n- b\n", 1, "not a mapping"),
        ("just text", 1, "not a mapping"),
        ("name: x\nnodes: [\n", 3, "parsing"),
        ("name: x\n\tnodes: []\n", 2, "cannot start any token"),
        ("name: x\nbox: a\nname: y\n", 3, 'duplicate key "name"'),
        ("name: x\nnodes:\n  - {name: a, name: b}\n", 3, 'duplicate key "name"'),
        ("name: x\nvars:\n  1: a\n", 3, "a key must be a word"),
        ("name: x\nvars:\n  a: 2024-01-31\n", 3, "a date; put it in quotes"),
        ("name: x\nvars:\n  a: !vault xyz\n", 3, "no tags such as !vault"),
        ("name: x\nvars:\n  a: !!python/object:os.system {b: c}\n", 3, "no tags"),
        ("name: x\nvars: &a\n  b: *a\n", 3, "the alias *a is within itself"),
        ("name: x\nvars: *nobody\n", 2, "undefined alias"),
        ("name: x\n---\nname: y\n", 2, "single document"),
        ("name: x\nvars: " + "[" * 100 + "]" * 100, 2, "nested too deeply"),
        ("name: x\nvars: " + "[" * 20_000, 2, "nested too deeply"),
        ("name: x\nvars:\n  a: .nan\n", 3, "not a finite number"),
        ("name: x\nvars:\n  a: !!binary aGk=\n", 3, "not plain text, number, list or mapping"),
        ("name: \x00\n", 1, "special characters are not allowed"),
        (BOMB, 2, "parts once its aliases are unfolded"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_a_definition(text: str, line: int, words: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        loads(text, name="lab.yml")
    assert f"lab.yml:{line}: " in refusal.value.why
    assert words in refusal.value.why


def test_anchors_and_merges_are_a_users_right() -> None:
    lab = loads(
        """
name: x
users: [{name: ann, uid: 10000}]
nodes:
  - &node {name: a-0, roles: [slurmd], partitions: [p], memory: 512}
  - {<<: *node, name: a-1}
  - {name: s-0, roles: [ldap_server, nfs_server, slurmctld]}
partitions: [{name: p}]
"""
    )
    assert [(node.name, node.memory) for node in lab.machines()] == [("a-0", 512), ("a-1", 512), ("s-0", 768)]
