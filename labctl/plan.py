"""What has to be done: the definition and what is observed, compared. Nothing here touches a process or libvirt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from labctl.definition.accounts import Account

Kind = Literal[
    "restore",
    "drain",
    "create",
    "start",
    "resize",
    "remove",
    "recreate",
    "forget",
    "converge",
    "verify",
    "snapshot",
]
#: What an action does to what runs: nothing, the node is started anew, the node is made anew.
Impact = Literal["live", "restart", "recreate"]
_IMPACTS: Mapping[Kind, Impact] = {"resize": "restart", "recreate": "recreate"}


@dataclass(frozen=True)
class Action:
    """One thing to do, and why.

    Attributes:
        kind: have Slurm give a node no more jobs; create a machine, start it, change its size, remove it, remove and
            create it; restore the lab from a snapshot, have its directory forget accounts, which converge does;
            converge it, verify it, save it as a snapshot.
        node: the node's name; empty if it concerns the whole lab.
        reason: for the reader of ``--dry-run``.
    """

    kind: Kind
    node: str
    reason: str

    @property
    def impact(self) -> Impact:
        """What it does to what runs."""
        return _IMPACTS.get(self.kind, "live")


def concerned(actions: Sequence[Action], *kinds: Kind) -> list[str]:
    """The nodes of the actions of these kinds, kind by kind."""
    return [action.node for kind in kinds for action in actions if action.kind == kind]


@dataclass(frozen=True)
class Shape:
    """What a machine is made with; none of it can change while the machine runs.

    Attributes:
        cpus: how many. They and the memory can change while it is off.
        memory: in MiB.
        box: the box it starts from, its version included; empty if it is not known.
        roles: what its disk has been set up as. One more is added by converge; one less leaves daemons behind.
    """

    cpus: int
    memory: int
    box: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """What is there.

    Attributes:
        states: of each machine of the lab, by node.
        shapes: what each machine was made with, as far as it is known.
        converged: the key of what the lab was last converged to; empty if it never was.
        verified: the same for verify.
        problems: what the running lab itself says is wrong.
        key_lost: the key that opens the machines is gone, and with it every way into them.
        torn: a restore was cut off, and what is there of machines is worth nothing.
        copying: nodes whose machines were being copied from others when that was cut off: they may be nobody yet.
        saved: a snapshot of just what is wanted, in words; empty if there is none.
        rotating: the kind of secret that was being replaced when that was cut off; empty if none was.
        accounts: what the lab's directory was told to have; what somebody else has put there is not among them.
    """

    states: Mapping[str, str]
    shapes: Mapping[str, Shape]
    converged: str = ""
    verified: str = ""
    problems: tuple[str, ...] = ()
    key_lost: bool = False
    torn: bool = False
    copying: frozenset[str] = frozenset()
    saved: str = ""
    rotating: str = ""
    accounts: frozenset[Account] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """What shall be.

    Attributes:
        shapes: of each node, in the order of the definition.
        key: content hash of all that converge depends on.
        verify: whether the lab shall be verified.
        save: whether a lab that was verified shall be saved as a snapshot.
        fresh: every machine shall be made anew.
        playbooks: paths of the user's own, which converge runs as well.
        accounts: what the directory shall have.
    """

    shapes: Mapping[str, Shape]
    key: str
    verify: bool = True
    save: bool = False
    fresh: bool = False
    playbooks: Sequence[str] = ()
    accounts: frozenset[Account] = frozenset()


def plan(wanted: Wanted, observed: Observed) -> tuple[Action, ...]:
    """The actions that lead from what is observed to what is wanted, in order; none if it is so already."""
    if observed.saved and not wanted.fresh and (not observed.states or observed.torn):
        return (
            Action("restore", "", observed.saved),
            *([Action("verify", "", "machines were brought back")] if wanted.verify else []),
        )
    machines = [*_removals(wanted, observed), *_machines(wanted, observed)]
    machines = [*_drains(wanted, observed, machines), *machines]
    forget = _forget(wanted, observed, machines)
    converge = _converge(wanted, observed, [*machines, *forget])
    verify = _verify(wanted, observed, [*machines, *converge])
    return (*machines, *forget, *converge, *verify, *_save(wanted, observed, machines, verify))


def _removals(wanted: Wanted, observed: Observed) -> list[Action]:
    gone = [node for node in observed.states if node not in wanted.shapes]
    return [Action("remove", node, "it is not in the definition") for node in gone]


def _drains(wanted: Wanted, observed: Observed, machines: Sequence[Action]) -> list[Action]:
    """Nodes of a running cluster that go away, for a while or for good; jobs on the others go on."""
    if wanted.fresh or observed.torn or observed.key_lost or not observed.converged:
        return []

    def runs(role: str) -> set[str]:
        return {
            node
            for node, shape in observed.shapes.items()
            if role in shape.roles and observed.states.get(node) == "running"
        }

    gone = {action.node: action.kind for action in machines if action.kind in _AWAY}
    if not runs("slurmctld") - gone.keys():
        return []
    computing = runs("slurmd")
    return [
        Action("drain", node, f"no new jobs before it is {_AWAY[kind]}")
        for node, kind in gone.items()
        if node in computing
    ]


#: What takes a node out of the cluster, and how that is said.
_AWAY: Mapping[Kind, str] = {"remove": "removed", "recreate": "made anew", "resize": "started anew"}


def _machines(wanted: Wanted, observed: Observed) -> list[Action]:
    actions = []
    for node, shape in wanted.shapes.items():
        state = observed.states.get(node)
        if state is None:
            actions.append(Action("create", node, "it has no machine yet"))
        elif wanted.fresh:
            actions.append(Action("recreate", node, "all shall be fresh"))
        elif observed.torn:
            actions.append(Action("recreate", node, "it was being brought back and that was cut off"))
        elif node in observed.copying:
            actions.append(Action("recreate", node, "it was being copied and that was cut off"))
        elif observed.key_lost:
            actions.append(Action("recreate", node, "the lab's key is lost, and nobody gets in"))
        elif reason := _misfit(observed.shapes.get(node, shape), shape):
            actions.append(Action("recreate", node, reason))
        elif reason := _other_size(observed.shapes.get(node, shape), shape):
            actions.append(Action("resize", node, f"{reason}; it is started anew"))
        elif state != "running":
            actions.append(Action("start", node, f"it is {state}"))
    return actions


def _other_size(made: Shape, wanted: Shape) -> str:
    """How a machine's size differs from what is wanted; empty if it does not."""
    if (made.cpus, made.memory) == (wanted.cpus, wanted.memory):
        return ""
    return f"{wanted.cpus} CPUs and {wanted.memory} MiB wanted, made with {made.cpus} and {made.memory}"


def _misfit(made: Shape, wanted: Shape) -> str:
    """Why a machine cannot become what is wanted; empty if it can."""
    if made.box and made.box != wanted.box:
        return f"the box {wanted.box} wanted, made from {made.box}"
    lost = [role for role in made.roles if role not in wanted.roles]
    return f"it is no longer {', '.join(lost)}" if lost else ""


def _forget(wanted: Wanted, observed: Observed, machines: Sequence[Action]) -> list[Action]:
    """Accounts that leave a directory which stays."""
    anew = concerned(machines, "remove", "recreate")
    stays = any(
        "ldap_server" in shape.roles and node in observed.states and node not in anew
        for node, shape in observed.shapes.items()
    )
    gone = sorted(observed.accounts - wanted.accounts, reverse=True) if stays else []
    if not gone:
        return []
    who = ", ".join(f"{account.kind} {account.name}" for account in gone)
    return [Action("forget", "", f"no longer in the definition: {who}; home directories stay")]


def _converge(wanted: Wanted, observed: Observed, before: Sequence[Action]) -> list[Action]:
    reason = _why_converge(wanted, observed, before)
    own = f"; {', '.join(wanted.playbooks)} after the roles" if wanted.playbooks else ""
    return [Action("converge", "", reason + own)] if reason else []


def _why_converge(wanted: Wanted, observed: Observed, before: Sequence[Action]) -> str:
    if not observed.converged:
        return "the lab was never converged to its end"
    if observed.converged != wanted.key:
        return "the definition, the roles or the box changed"
    if observed.rotating:
        return f"a new secret ({observed.rotating}) did not reach every node"
    if any(action.kind in ("create", "recreate", "remove", "resize") for action in before):
        return "the nodes changed"
    if any(action.kind == "forget" for action in before):
        return "the directory has accounts that shall go"
    return observed.problems[0] if observed.problems else ""


def _save(
    wanted: Wanted, observed: Observed, machines: Sequence[Action], verify: Sequence[Action]
) -> list[Action]:
    """A lab is saved when it was verified for the first time: later on there may be anything of its users in it."""
    made = {action.node for action in machines if action.kind in ("create", "recreate")}
    new = not observed.verified or made == wanted.shapes.keys()
    return [Action("snapshot", "", "the next up takes seconds")] if verify and wanted.save and new else []


def _verify(wanted: Wanted, observed: Observed, before: Sequence[Action]) -> list[Action]:
    if not wanted.verify:
        return []
    if before:
        return [Action("verify", "", "something changed")]
    if observed.verified != wanted.key:
        return [Action("verify", "", "the lab was never verified as it is now")]
    return []
