"""A stranger that cannot be made for want of a right is said to be, and nothing else passes for that."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from clusterfacts.answers import Sections
from clusterfacts.questions import script

Ask = Callable[..., Sections]
# What `ip` says of the command that begins with $REFUSED; `ip netns exec` reaches NFS if $FILTER is empty, and from
# the server itself it is always reached.
IP = """#!/bin/sh
case "$*" in
"$REFUSED"*) [ -z "$REFUSED" ] || { echo "$SAYS" >&2; exit 2; } ;;
esac
case "$*" in
*neighbour*) echo "192.0.2.1 dev eth0 lladdr 52:54:00:00:00:01 REACHABLE" ;;
"netns exec"*mount*) echo "mount.nfs4: access denied" >&2; exit 32 ;;
"netns exec"*) [ -z "$FILTER" ] ;;
esac
"""
BASH = '#!/bin/sh\n[ -z "$SILENT" ]\n'


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    for name, text in {"ip": IP, "mount.nfs4": "#!/bin/sh\n", "bash": BASH}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def asked(**circumstances: str) -> Sections:
        told = script("outsider", server="192.0.2.1", client="192.0.2.2", prefix=24, exports="/home")
        names = {"REFUSED": "", "SAYS": "", "FILTER": "", "SILENT": ""}
        environment = os.environ | names | circumstances | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(["sh"], input=told, env=environment, capture_output=True, text=True, check=True)
        return Sections.parse(done.stdout)

    return asked


@pytest.mark.parametrize(
    ("command", "says", "right"),
    [
        ("netns add", "mount --make-shared /run/netns failed: Operation not permitted", "CAP_SYS_ADMIN"),
        ("link add", "RTNETLINK answers: Operation not permitted", "CAP_NET_ADMIN"),
        ("link add", "Error: Unknown device type.", "veth"),
    ],
)
def test_the_right_that_is_missing_is_named(ask: Ask, command: str, says: str, right: str) -> None:
    seen = ask(REFUSED=command, SAYS=says)
    assert right in seen["missing"]
    assert says in seen["missing"]
    assert not seen["broken"]


@pytest.mark.parametrize("command", ["netns add", "link add", "address replace"])
def test_what_fails_for_another_reason_is_a_failure(ask: Ask, command: str) -> None:
    seen = ask(REFUSED=command, SAYS="No space left on device")
    assert "No space left on device" in seen["broken"]
    assert not seen["missing"]
    assert not seen["reach"]


def test_a_stranger_that_can_be_made_tries_to_mount(ask: Ask) -> None:
    seen = ask()
    assert seen["reach"] == "reached"
    assert "code 32" in seen["mount /home"]


def test_only_a_server_that_answers_itself_has_a_packet_filter(ask: Ask) -> None:
    assert ask(FILTER="yes")["filtered"] == "yes"
    seen = ask(FILTER="yes", SILENT="yes")
    assert (seen["reach"], seen["filtered"]) == ("no answer", "")
