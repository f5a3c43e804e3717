"""The plan: what is defined and what is observed, compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from labctl.definition.accounts import Account
from labctl.plan import Action, Kind, Observed, Shape, Wanted, plan

HEAD = Shape(1, 768, "debian-12-a", ("ldap_server", "slurmctld"))
NODE = Shape(2, 1024, "debian-12-a", ("slurmd",))
WANTED = Wanted({"head": HEAD, "node": NODE}, key="k")
UP = Observed(
    {"head": "running", "node": "running"}, {"head": HEAD, "node": NODE}, converged="k", verified="k"
)
CONVERGE = Action("converge", "", "the nodes changed")
VERIFY = Action("verify", "", "something changed")
DRAIN = Action("drain", "node", "no new jobs before it is made anew")


def machines(wanted: Wanted = WANTED, observed: Observed = UP) -> list[tuple[str, str, str]]:
    return [(action.kind, action.node, action.reason) for action in plan(wanted, observed) if action.node]


def test_a_lab_as_defined_is_left_alone() -> None:
    assert plan(WANTED, UP) == ()


def test_from_nothing_every_machine_is_made_then_converged_then_verified() -> None:
    assert plan(WANTED, Observed({}, {})) == (
        Action("create", "head", "it has no machine yet"),
        Action("create", "node", "it has no machine yet"),
        Action("converge", "", "the lab was never converged to its end"),
        VERIFY,
    )


@pytest.mark.parametrize("state", ["stopped", "suspended", "crashed"])
def test_a_machine_that_does_not_run_is_started_and_the_lab_proven_again(state: str) -> None:
    observed = replace(UP, states={"head": "running", "node": state})
    assert plan(WANTED, observed) == (Action("start", "node", f"it is {state}"), VERIFY)


def test_a_machine_that_is_gone_is_made_again() -> None:
    observed = replace(UP, states={"head": "running"})
    assert plan(WANTED, observed) == (Action("create", "node", "it has no machine yet"), CONVERGE, VERIFY)


def test_a_secret_that_may_not_be_everywhere_is_carried_there() -> None:
    assert plan(WANTED, replace(UP, rotating="munge")) == (
        Action("converge", "", "a new secret (munge) did not reach every node"),
        VERIFY,
    )


def test_a_machine_that_is_not_in_the_definition_goes_first() -> None:
    observed = replace(UP, states={"old": "stopped", **UP.states})
    assert plan(WANTED, observed) == (
        Action("remove", "old", "it is not in the definition"),
        CONVERGE,
        VERIFY,
    )


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (replace(NODE, box="debian-12-b"), "the box debian-12-a wanted, made from debian-12-b"),
        (replace(NODE, roles=("slurmd", "nfs_server", "slurmctld")), "it is no longer nfs_server, slurmctld"),
    ],
    ids=["box", "a role less"],
)
@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_machine_that_cannot_become_what_is_wanted_is_made_anew(
    made: Shape, reason: str, state: str
) -> None:
    observed = replace(UP, states={"head": "running", "node": state}, shapes={"head": HEAD, "node": made})
    drained = (DRAIN,) if state == "running" else ()
    assert plan(WANTED, observed) == (*drained, Action("recreate", "node", reason), CONVERGE, VERIFY)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (replace(NODE, cpus=1), "2 CPUs and 1024 MiB wanted, made with 1 and 1024; it is started anew"),
        (replace(NODE, memory=512), "2 CPUs and 1024 MiB wanted, made with 2 and 512; it is started anew"),
    ],
    ids=["CPUs", "memory"],
)
def test_a_machine_of_another_size_keeps_its_disk(made: Shape, reason: str) -> None:
    observed = replace(UP, shapes={"head": HEAD, "node": made})
    drained = Action("drain", "node", "no new jobs before it is started anew")
    assert plan(WANTED, observed) == (drained, Action("resize", "node", reason), CONVERGE, VERIFY)


def test_a_node_that_goes_for_good_is_drained_first() -> None:
    observed = replace(
        UP, states={"old": "running", **UP.states}, shapes={"old": NODE, "head": HEAD, "node": NODE}
    )
    assert machines(observed=observed) == [
        ("drain", "old", "no new jobs before it is removed"),
        ("remove", "old", "it is not in the definition"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"states": {"head": "stopped", "node": "running"}},
        {"converged": ""},
        {"torn": True},
        {"key_lost": True},
        {"shapes": {"head": replace(HEAD, box="other"), "node": replace(NODE, box="other")}},
    ],
    ids=["the controller is off", "half-made", "torn", "nobody gets in", "the controller goes as well"],
)
def test_where_no_controller_stays_nothing_is_drained(change: dict[str, Any]) -> None:
    observed = replace(UP, **{"shapes": {"head": HEAD, "node": replace(NODE, box="other")}, **change})
    assert "drain" not in {kind for kind, _, _ in machines(observed=observed)}


def test_what_an_action_does_to_what_runs_is_known() -> None:
    impacts = {kind: Action(kind, "node", "").impact for kind in get_args(Kind)}
    assert {kind for kind, impact in impacts.items() if impact != "live"} == {"resize", "recreate"}
    assert (impacts["resize"], impacts["recreate"]) == ("restart", "recreate")


@pytest.mark.parametrize(
    "made",
    [replace(NODE, box=""), replace(NODE, roles=())],
    ids=["a box that nobody knows", "a role more"],
)
def test_a_machine_that_can_become_what_is_wanted_stays(made: Shape) -> None:
    assert machines(observed=replace(UP, shapes={"head": HEAD, "node": made})) == []


def test_a_machine_of_unknown_shape_is_taken_for_what_it_shall_be() -> None:
    assert plan(WANTED, replace(UP, shapes={})) == ()


def test_machines_that_may_be_nobody_yet_are_made_anew_and_no_other() -> None:
    observed = replace(UP, copying=frozenset({"node", "never-made"}), converged="", verified="")
    assert machines(observed=observed) == [("recreate", "node", "it was being copied and that was cut off")]


def test_machines_that_nobody_can_log_in_to_are_made_anew() -> None:
    observed = Observed({"head": "running"}, {}, key_lost=True)
    assert machines(observed=observed) == [
        ("recreate", "head", "the lab's key is lost, and nobody gets in"),
        ("create", "node", "it has no machine yet"),
    ]


@pytest.mark.parametrize(
    ("converged", "reason"),
    [
        ("", "the lab was never converged to its end"),
        ("other", "the definition, the roles or the box changed"),
    ],
    ids=["never", "to something else"],
)
def test_a_lab_that_was_converged_to_something_else_is_converged_and_proven(
    converged: str, reason: str
) -> None:
    observed = replace(UP, converged=converged)
    assert plan(WANTED, observed) == (Action("converge", "", reason), VERIFY)


def test_a_problem_of_the_running_lab_is_the_reason_to_converge() -> None:
    observed = replace(UP, problems=("cpu-0 is down", "cpu-1 is down"))
    assert plan(WANTED, observed) == (Action("converge", "", "cpu-0 is down"), VERIFY)


def test_starting_alone_is_no_reason_to_converge() -> None:
    observed = replace(UP, states={"head": "stopped", "node": "stopped"})
    assert [action.kind for action in plan(WANTED, observed)] == ["start", "start", "verify"]


@pytest.mark.parametrize("verified", ["", "other"], ids=["never", "as something else"])
def test_a_lab_that_was_not_verified_as_it_is_is_verified(verified: str) -> None:
    assert plan(WANTED, replace(UP, verified=verified)) == (
        Action("verify", "", "the lab was never verified as it is now"),
    )


def test_nothing_is_verified_against_the_users_will() -> None:
    unasked = replace(WANTED, verify=False)
    assert plan(unasked, replace(UP, verified="")) == ()
    assert [action.kind for action in plan(unasked, Observed({}, {}))] == ["create", "create", "converge"]


# Snapshots

SAVING = replace(WANTED, save=True)
SAVE = Action("snapshot", "", "the next up takes seconds")
SAVED = "just this was saved"


def kinds(wanted: Wanted, observed: Observed) -> list[str]:
    return [action.kind for action in plan(wanted, observed)]


def test_a_lab_that_was_verified_is_saved() -> None:
    assert plan(SAVING, Observed({}, {}))[-2:] == (VERIFY, SAVE)
    assert kinds(SAVING, replace(UP, verified="")) == ["verify", "snapshot"]


def test_what_is_not_verified_is_not_saved() -> None:
    assert plan(SAVING, UP) == ()
    assert "snapshot" not in kinds(replace(SAVING, verify=False), Observed({}, {}))


@pytest.mark.parametrize(
    "observed",
    [Observed({}, {}), replace(UP, torn=True)],
    ids=["nothing", "half of one that was brought back"],
)
def test_what_was_saved_is_brought_back_and_nothing_else_is_done(observed: Observed) -> None:
    assert plan(SAVING, replace(observed, saved=SAVED)) == (
        Action("restore", "", SAVED),
        Action("verify", "", "machines were brought back"),
    )
    assert kinds(replace(SAVING, verify=False), replace(observed, saved=SAVED)) == ["restore"]


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_no_machine_is_thrown_away_for_a_snapshot(state: str) -> None:
    observed = replace(UP, states={"head": state}, saved=SAVED)
    assert "restore" not in kinds(SAVING, observed)
    assert "recreate" not in kinds(SAVING, observed)


def test_machines_of_a_restore_that_was_cut_off_are_made_anew() -> None:
    observed = replace(UP, states={"head": "suspended", "old": "running"}, torn=True)
    why = "it was being brought back and that was cut off"
    assert machines(SAVING, observed) == [
        ("remove", "old", "it is not in the definition"),
        ("recreate", "head", why),
        ("create", "node", "it has no machine yet"),
    ]
    assert kinds(SAVING, observed)[-3:] == ["converge", "verify", "snapshot"]


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
def test_who_wants_it_fresh_gets_every_machine_anew_and_no_snapshot(*, torn: bool) -> None:
    fresh = replace(SAVING, fresh=True)
    assert machines(fresh, replace(UP, saved=SAVED, torn=torn)) == [
        ("recreate", "head", "all shall be fresh"),
        ("recreate", "node", "all shall be fresh"),
    ]
    assert kinds(fresh, UP) == ["recreate", "recreate", "converge", "verify", "snapshot"]
    assert kinds(fresh, replace(Observed({}, {}), saved=SAVED))[:2] == ["create", "create"]


def test_a_lab_that_people_have_worked_in_is_not_saved_by_up() -> None:
    assert kinds(SAVING, replace(UP, states={"head": "running", "node": "stopped"})) == ["start", "verify"]
    assert kinds(SAVING, replace(UP, converged="old")) == ["converge", "verify"]
    assert kinds(SAVING, replace(UP, states={"head": "running"})) == ["create", "converge", "verify"]


ANN, ADA, ADAS = Account("user", "ann"), Account("user", "ada"), Account("group", "ada")


def test_accounts_that_are_not_wanted_any_more_leave_the_directory_live() -> None:
    wanted = replace(WANTED, accounts=frozenset({ANN}))
    forget, *others = plan(wanted, replace(UP, accounts=frozenset({ANN, ADA, ADAS})))
    assert (forget.kind, forget.impact) == ("forget", "live")
    assert forget.reason == "no longer in the definition: user ada, group ada; home directories stay"
    assert others == [Action("converge", "", "the directory has accounts that shall go"), VERIFY]
    assert plan(wanted, replace(UP, accounts=frozenset({ANN}))) == ()


@pytest.mark.parametrize(
    "change",
    [{"states": {}}, {"states": {"node": "running"}}, {"key_lost": True}, {"torn": True}],
    ids=["no machine", "it is gone", "nobody gets in", "torn"],
)
def test_a_directory_that_is_made_anew_has_nobody_to_forget(change: dict[str, Any]) -> None:
    kinds = {action.kind for action in plan(WANTED, replace(UP, accounts=frozenset({ADA}), **change))}
    assert "forget" not in kinds
    assert "converge" in kinds
