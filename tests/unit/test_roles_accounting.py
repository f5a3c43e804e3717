"""The modules of the accounting roles: they ask once, tell what differs, and the second time nothing does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from roles_files import ROOT, module

associations = module(ROOT / "roles/slurmdbd/library/slurm_associations.py")
databases = module(ROOT / "roles/mariadb/library/mariadb_databases.py")


class Sacctmgr:
    """Answers as sacctmgr of Slurm 22.05.8 does with its commands on stdin: readline repeats each behind its prompt."""

    def __init__(self, **answers: str) -> None:
        self.answers = {
            "cluster": "",
            "qos": "normal|Normal QOS default",
            "account": "root|default root account|root",
            "user": "",
            "association": "root||||",
        }
        self.answers |= answers
        self.told: list[list[str]] = []
        self.silent = 0

    def __call__(self, command: list[str], data: str, environ_update: dict[str, str]) -> tuple[int, str, str]:
        assert environ_update["TERM"] == "dumb"
        if self.silent:
            self.silent -= 1
            return 1, "", "sacctmgr: error: Problem talking to the database: Connection refused"
        *commands, last = data.splitlines()
        assert last == "quit"
        if "--readonly" not in command:
            self.told.append(commands)
            return 0, "", ""
        # Of a command that is wider than the terminal it repeats the end.
        shown = [one if len(one) < 70 else f"\r<{one[-50:]}" for one in commands]
        said = [
            f"sacctmgr: {one}\n{self._answer(command)}" for one, command in zip(shown, commands, strict=True)
        ]
        return 0, "".join([*said, "sacctmgr: quit\n"]), ""

    def _answer(self, command: str) -> str:
        text = self.answers[command.split()[1]]
        return f"{text}\n" if text else ""


def params(**given: Any) -> dict[str, Any]:
    """What the module is given, with the defaults that Ansible fills in."""
    filled: dict[str, Any] = {
        "cluster": "lab",
        "qos": [],
        "accounts": [],
        "users": [],
        "purge": [],
        "timeout": 5,
    }
    filled |= copy.deepcopy(given)
    for kind in ("qos", "accounts", "users"):
        spec = associations.ARGUMENTS[kind]["options"]
        for entry in filled[kind]:
            for key, option in spec.items():
                entry.setdefault(key, copy.deepcopy(option.get("default")))
            for link in entry.get("associations", []):
                link.setdefault("options", {})
    return filled


def told(sacctmgr: Sacctmgr, **given: Any) -> list[str]:
    """The commands that it takes to make accounting so."""
    wanted = params(**given)
    now = associations.await_answer(sacctmgr, wanted, pause=lambda _: None)
    done: list[str] = associations.converge(sacctmgr, now, wanted, check=False)
    assert [command for commands in sacctmgr.told for command in commands] == done
    return done


LAB = {
    "qos": [
        {
            "name": "debug",
            "options": {"MaxWall": "0:10:00", "Flags": ["DenyOnLimit"], "MaxTRESPerUser": {"mem": "2G"}},
        }
    ],
    "accounts": [
        {"name": "below", "parent": "research"},
        {
            "name": "research",
            "description": "Group 10100",
            "options": {"Fairshare": 10, "QOS": ["normal", "debug"]},
        },
    ],
    "users": [
        {
            "name": "ann",
            "associations": [{"account": "research"}, {"account": "below", "options": {"MaxJobs": 2}}],
        }
    ],
}
SAME = {
    "cluster": "lab|10.0.0.1",
    "qos": "normal|Normal QOS default|||\ndebug|debug|00:10:00|DenyOnLimit|mem=2G",
    "account": "root|default root account|root\nresearch|group 10100|research\nbelow|below|below",
    "user": "ann|research|None\nroot|root|Administrator",
    "association": "root||||1|normal|\nroot|root|||1||\nresearch|||root|10|debug,normal|\nbelow|||research|1||\n"
    "research|ann|||1||\nbelow|ann|||1||2",
}  # fmt: skip


def test_everything_new_is_added_qos_and_cluster_first_and_in_a_run_of_their_own() -> None:
    sacctmgr = Sacctmgr()
    told(sacctmgr, **LAB)
    assert sacctmgr.told == [
        ["add cluster lab", "add qos debug MaxWall=0:10:00 Flags=DenyOnLimit MaxTRESPerUser=mem=2G"],
        [
            'add account research cluster=lab parent=root Description="Group 10100" Fairshare=10 QOS=normal,debug',
            "add account below cluster=lab parent=research",
            "add user ann account=research cluster=lab",
            "add user ann account=below cluster=lab MaxJobs=2",
        ],
    ]


def test_the_second_time_nothing_is_told() -> None:
    assert told(Sacctmgr(**SAME), **LAB) == []


def test_without_readline_the_commands_are_not_repeated() -> None:
    printed = "sacctmgr: lab|\nsacctmgr: normal|x\nsacctmgr: sacctmgr: sacctmgr: "
    assert associations.answers(printed, 4) == [["lab|"], ["normal|x"], [], []]


def test_what_differs_is_changed_and_what_is_not_named_stays() -> None:
    wanted = copy.deepcopy(LAB)
    wanted["qos"][0]["options"] = {"MaxWall": 20, "Flags": None, "MaxTRESPerUser": {"cpu": 4}}  # type: ignore[index]
    wanted["accounts"][1]["options"] = {"Fairshare": 20, "QOS": ["debug", "normal"]}  # type: ignore[index]
    wanted["users"][0]["associations"].reverse()  # type: ignore[attr-defined, index]
    assert told(Sacctmgr(**SAME), **wanted) == [
        "modify qos where name=debug set MaxWall=20 Flags=-1 MaxTRESPerUser=cpu=4,mem=-1",
        "modify account where name=research cluster=lab set Fairshare=20",
        "modify user where name=ann cluster=lab set DefaultAccount=below",
    ]


def test_what_shall_go_goes_users_first_and_lowest_accounts_first() -> None:
    absent = {kind: [{"name": name, "state": "absent"} for name in names] for kind, names in {
        "users": ["ann", "nobody"], "accounts": ["research", "below"], "qos": ["debug"]}.items()}  # fmt: skip
    assert told(Sacctmgr(**SAME), **absent) == [
        "delete user where name=ann",
        "delete account where name=below",
        "delete account where name=research",
        "delete qos where name=debug",
    ]


def test_of_a_database_that_clusters_share_they_leave_this_cluster_alone() -> None:
    shared = SAME | {"cluster": f"{SAME['cluster']}\nother|elsewhere"}
    absent = [{"name": "research", "state": "absent"}]
    assert told(Sacctmgr(**shared), accounts=absent) == ["delete account where name=research cluster=lab"]


def test_a_purge_takes_what_is_not_listed_but_nothing_of_slurms_own() -> None:
    same = {key: "\n".join(line for line in text.splitlines()) for key, text in SAME.items()}
    assert told(Sacctmgr(**same), purge=["qos", "accounts", "users"]) == [
        "delete user where name=ann",
        "delete account where name=below",
        "delete account where name=research",
        "delete qos where name=debug",
    ]


def test_an_account_that_a_user_is_not_in_any_more_goes_after_the_default_was_changed() -> None:
    users = [{"name": "ann", "associations": [{"account": "below"}]}]
    assert told(Sacctmgr(**SAME), users=users) == [
        "modify user where name=ann cluster=lab set DefaultAccount=below",
        "delete user where name=ann account=research cluster=lab",
    ]


def test_it_waits_until_slurmdbd_answers_and_not_for_ever() -> None:
    sacctmgr = Sacctmgr(**SAME)
    sacctmgr.silent = 3
    assert told(sacctmgr) == []
    sacctmgr.silent = 10**6
    with pytest.raises(associations.SilentError):
        associations.await_answer(sacctmgr, params(timeout=0), pause=lambda _: None)


def test_accounts_in_a_circle_are_refused() -> None:
    circle = [{"name": "a", "parent": "b"}, {"name": "b", "parent": "a"}]
    with pytest.raises(associations.RefusedError, match="each other's parents: a, b"):
        told(Sacctmgr(**SAME), accounts=circle)


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("MaxWall", "90", "01:30:00"),
        ("MaxWall", "1-0", "1-00:00:00"),
        ("GrpWall", "1:00:00", "60"),
        ("GraceTime", "120", "00:02:00"),
        ("GrpTRES", "cpu=4,mem=2048", "mem=2G,cpu=4"),
        ("GrpTRES", "gres/gpu=2048", "gres/gpu=2K"),
        ("GrpTRES", "cpu=-1", ""),
        ("QOS", "b,a", "a,b"),
        ("Flags", "DenyOnLimit", "denyonlimit"),
        ("UsageFactor", "2", "2.000000"),
        ("MaxJobs", "-1", ""),
        ("Fairshare", "parent", "Parent"),
    ],
)
def test_values_that_mean_the_same_are_the_same(key: str, one: str, other: str) -> None:
    assert associations.comparable(key, one) == associations.comparable(key, other)


@pytest.mark.parametrize(
    ("key", "one", "other"), [("MaxWall", "90", "00:01:30"), ("GrpTRES", "mem=2M", "mem=2G")]
)
def test_values_that_mean_something_else_are_not(key: str, one: str, other: str) -> None:
    assert associations.comparable(key, one) != associations.comparable(key, other)


WANTED = {"name": "slurm_acct_db", "user": "slurm", "host": "localhost", "password": "it's"}
# As MariaDB 10.11 answers; a GRANT of all rights is a line for each.
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "INDEX", "ALTER", "TRIGGER")
ANSWER = "".join(
    [
        "database\tmysql\t\ndatabase\tslurm_acct_db\t\n",
        "password\t'root'@'localhost'\tinvalid\n",
        f"password\t'slurm'@'localhost'\t{databases.hashed(WANTED['password'])}\n",
        "right\t'slurm'@'localhost'\t*.* USAGE NO\n",
        *(f"right\t'slurm'@'localhost'\tslurm\\\\_acct\\\\_db.* {right} NO\n" for right in RIGHTS),
    ]
)


def todo(answer: str) -> list[str]:
    return [words for words, _ in databases.plan(databases.read(answer), WANTED)]


def test_a_database_that_is_as_wanted_needs_nothing() -> None:
    assert todo(ANSWER) == []


def test_a_fresh_server_gets_the_database_and_its_user() -> None:
    assert len(todo("database\tmysql\t\n")) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("*.* USAGE", "*.* PROCESS"),
        ("right\t'slurm'@'localhost'\t*.* USAGE NO\n", "right\t'slurm'@'localhost'\tmysql.* SELECT NO\n"),
        ("SELECT NO", "SELECT YES"),
        ("\\\\_db.* DROP NO", "\\\\_db.* SHOW VIEW NO"),
        (databases.hashed("it's"), databases.hashed("another")),
    ],
)
def test_a_user_with_other_rights_or_another_password_is_made_anew(old: str, new: str) -> None:
    assert old in ANSWER
    assert todo(ANSWER.replace(old, new)) == [
        "give 'slurm'@'localhost' all rights on slurm_acct_db and no other"
    ]


def test_the_password_itself_is_told_to_nobody() -> None:
    assert databases.ARGUMENTS["databases"]["options"]["password"]["no_log"] is True
    steps = databases.plan(databases.Server(), WANTED)
    assert not [step for step in steps if "it's" in str(step) or "it\\'s" in str(step)]


def test_the_hash_is_mariadbs() -> None:
    assert databases.hashed("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"
