"""The role ldap_client's script by which a host forgets who has left the directory, with stand-ins for what it asks."""

from __future__ import annotations

import subprocess

import pytest
from programs import Programs

from labctl.resources import resource

SCRIPT = resource("roles") / "ldap_client/files/forget-accounts"
ADA = ("passwd:ada", "group:ada")


@pytest.fixture
def host(programs: Programs) -> Programs:
    """A host whose SSSD knows ada, her group and ann, for a directory that has ann alone."""
    (programs.folder / "cached").write_text("passwd:ada\ngroup:ada\npasswd:ann\n")
    (programs.folder / "directory").write_text("")
    programs.add("getent", 'grep -qx "$3:$4" "$PROGRAMS/cached"')
    programs.add("ldapsearch", 'cat "$PROGRAMS/directory"; : > "$PROGRAMS/directory"')
    programs.add("sleep")
    programs.add("rm")
    programs.add("systemctl", '[ "$1" = stop ] || : > "$PROGRAMS/cached"')
    return programs


def forget(
    *accounts: str, mode: str = "apply", seconds: int = 600, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", SCRIPT, mode, str(seconds), *accounts], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def test_who_is_known_is_forgotten_once(host: Programs) -> None:
    assert forget(*ADA).stdout == "changed\n"
    assert host.calls("systemctl") == ["stop sssd.service", "start sssd.service"]
    (gone,) = host.calls("rm")
    assert gone.startswith("-f /var/lib/sss/db/cache_")
    assert forget(*ADA).stdout == ""
    assert len(host.calls("systemctl")) == 2


def test_where_nobody_of_them_is_known_nothing_is_asked_and_nothing_restarted(host: Programs) -> None:
    assert forget("passwd:eve", "group:eve").stdout == ""
    assert host.calls("ldapsearch") == host.calls("systemctl") == []


def test_check_mode_tells_and_touches_nothing(host: Programs) -> None:
    assert forget(*ADA, mode="check").stdout == "changed\n"
    assert host.calls("ldapsearch") == host.calls("systemctl") == []


def test_nothing_is_forgotten_before_the_directory_has_none_of_them(host: Programs) -> None:
    (host.folder / "directory").write_text("dn: uid=ada,ou=People,dc=x\n\n")
    assert forget(*ADA).stdout == "changed\n"
    asked = "(|(&(objectClass=posixAccount)(uid=ada))(&(objectClass=posixGroup)(cn=ada))) 1.1"
    assert [one.endswith(asked) for one in host.calls("ldapsearch")] == [True, True]


@pytest.mark.parametrize(("answer", "code"), [("dn: uid=ada,dc=x", 0), ("Can't contact LDAP server", 255)])
def test_a_directory_that_keeps_them_or_does_not_answer_is_named(
    host: Programs, answer: str, code: int
) -> None:
    host.add("ldapsearch", f'echo "{answer}"; exit {code}')
    assert answer in forget(*ADA, seconds=0, code=1).stderr
    assert host.calls("systemctl") == []


def test_sssds_own_tool_is_preferred_to_a_restart(host: Programs) -> None:
    host.add("sss_cache", '[ "$1" = -u ] || exit 2; sed -i "/:$2$/d" "$PROGRAMS/cached"')
    assert forget(*ADA).stdout == "changed\n"
    assert host.calls("sss_cache") == ["-u ada", "-g ada"]
    assert host.calls("systemctl") == []


def test_who_is_still_known_afterwards_is_a_failure(host: Programs) -> None:
    host.add("systemctl")
    assert "SSSD still knows ada" in forget(*ADA, code=1).stderr
