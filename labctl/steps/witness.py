"""Witness: whether a cluster goes by its new secret, and by the old one no more.

Secrets, and what they have signed, reach a node by standard input alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from labctl.definition.models import Definition
from labctl.errors import LabError, VerifyError
from labctl.providers.base import Answer
from labctl.render import groups, registry, rest
from labctl.render.layout import Layout, Secrets
from labctl.rotation import NAMES, Kind
from labctl.side_by_side import each

#: Runs a shell script as root of a node, with a standard input.
Ask = Callable[[str, str, str], Answer]

_SIGN = {"munge": "munge -n", "jwt": "scontrol token lifespan=3600"}
_READ = """
IFS= read -r old; IFS= read -r new
for given in "$old" "$new"; do printf '%s\\n' "$given" | unmunge >/dev/null 2>&1; echo "$?"; done
"""
_INVALID = (
    "14"  # EMUNGE_CRED_INVALID of munge(3): not signed with this key. One that is merely too old is 15.
)
_TOKENS = """
IFS= read -r old; IFS= read -r new
for given in "$old" "$new"; do SLURM_JWT=${{given#SLURM_JWT=}} timeout 60 {command} >/dev/null 2>&1; echo "$?"; done
"""
_SERVED = "timeout 30 openssl s_client -connect {where} {how} </dev/null 2>/dev/null | openssl x509"
_TRUSTED = """
openssl verify -CAfile /etc/ldap/client-ca.pem >/dev/null 2>&1; echo "$?"
timeout 30 ldapsearch -x -LLL -ZZ -s base -b '' 1.1 >/dev/null 2>&1; echo "$?"
"""
_BIND = """
while IFS= read -r dn && IFS= read -r old && IFS= read -r new; do
    for given in "$old" "$new"; do
        printf %s "$given" | timeout 30 ldapwhoami -x -ZZ -D "$dn" -y /dev/stdin >/dev/null 2>&1; echo "$?"
    done
done
"""
_REFUSED = "49"  # invalidCredentials of RFC 4511


@dataclass(frozen=True)
class Proof:
    """What was asked of a node, and whether the answer was right."""

    node: str
    what: str
    right: bool


@dataclass(frozen=True)
class Witness:
    """Whoever knows what was before.

    Attributes:
        kind: of the secret that is replaced.
        layout: the lab.
        ask: reaches its nodes.
        signed: by the old secret, if such secrets sign.
    """

    kind: Kind
    layout: Layout
    ask: Ask
    signed: str = ""

    def prove(self, before: Secrets, after: Secrets, *, authority: bool) -> tuple[str, ...]:
        """See that the new secret works on every node and the old one nowhere; what was seen, in words.

        Raises:
            VerifyError: not so; says where.
        """
        found = self._found(before, after, authority=authority)
        wrong = [f"{proof.node}: not so: {proof.what}" for proof in found if not proof.right]
        if wrong:
            lab = self.layout.lab
            raise VerifyError(
                f"not every node of {lab} goes by the new secret alone: {NAMES[self.kind]}",
                why="\n".join(wrong),
                hint=f"labctl up --name {lab} takes the new ones to every node",
            )
        return tuple(f"{proof.node}: {proof.what}" for proof in found)

    def _found(self, before: Secrets, after: Secrets, *, authority: bool) -> list[Proof]:
        match self.kind:
            case "munge":
                return self._munge()
            case "jwt":
                return self._tokens()
            case "tls":
                return self._certificates(before, after, authority=authority)
            case "ldap":
                return self._passwords(before, after)

    def _munge(self) -> list[Proof]:
        fresh = _signed(self.kind, self.layout, self.ask)
        nodes = _members(self.layout.definition, "munge")
        answers = each(nodes, lambda node: self._lines(node, _READ, self.signed, fresh))
        what = "reads what the new key signs, and nothing that the old one signed"
        return [Proof(node, what, said == [_INVALID, "0"]) for node, said in zip(nodes, answers, strict=True)]

    def _tokens(self) -> list[Proof]:
        fresh = _signed(self.kind, self.layout, self.ask)
        asked = [("slurmctld", "sinfo"), ("slurmdbd", "sacctmgr -n show cluster")]
        return [
            Proof(node, f"{daemon} takes tokens of the new key, and none of the old one", _one_of_two(said))
            for daemon, command in asked
            for node in _members(self.layout.definition, daemon)
            for said in [self._lines(node, _TOKENS.format(command=command), self.signed, fresh)]
        ]

    def _certificates(self, before: Secrets, after: Secrets, *, authority: bool) -> list[Proof]:
        shown = [
            Proof(
                node,
                f"{server} shows its new certificate",
                self.ask(node, script, "").stdout.strip() == after.certificates[node].strip(),
            )
            for server, node, script in self._servers()
        ]
        clients = _members(self.layout.definition, "ldap_client")
        former = before.certificates[_members(self.layout.definition, "ldap_server")[0]]
        answers = each(clients, lambda node: self._lines(node, _TRUSTED, former))
        what = "trusts the directory" + (", and no certificate of the old authority" if authority else "")
        return shown + [
            Proof(node, what, _trusts(said, authority=authority))
            for node, said in zip(clients, answers, strict=True)
        ]

    def _servers(self) -> Iterator[tuple[str, str, str]]:
        """The servers that have a certificate, with their nodes and the scripts that show it."""
        for node in _members(self.layout.definition, "ldap_server"):
            yield "slapd", node, _SERVED.format(where=f"{node}:389", how="-starttls ldap")
        for node in _members(self.layout.definition, "slurmrestd"):
            where = rest.url(self.layout).removeprefix("https://")
            yield "slurmrestd", node, _SERVED.format(where=where, how="")
        for node in _members(self.layout.definition, "registry"):
            yield "docker-registry", node, _SERVED.format(where=registry.host(self.layout), how="")

    def _passwords(self, before: Secrets, after: Secrets) -> list[Proof]:
        users = [user.name for user in self.layout.definition.users]
        suffix = self.layout.definition.vars.get("ldap_server_suffix", f"dc={self.layout.lab},dc=lab")
        given = [
            line
            for user in users
            for line in (f"uid={user},ou=People,{suffix}", before.passwords[user], after.passwords[user])
        ]
        node = _members(self.layout.definition, "slurmctld")[0]
        said = self._lines(node, _BIND, *given)
        pairs = [said[i : i + 2] for i in range(0, 2 * len(users), 2)]
        return [
            Proof(
                node,
                f"{user} logs in with the new password, and not with the old one",
                pair == [_REFUSED, "0"],
            )
            for user, pair in zip(users, pairs, strict=True)
        ]

    def _lines(self, node: str, script: str, *given: str) -> list[str]:
        return self.ask(node, script, "".join(f"{line}\n" for line in given)).stdout.split()


def witness(kind: Kind, layout: Layout, ask: Ask) -> Witness:
    """A witness of what is before, while the old secret is still that of the cluster.

    Raises:
        LabError: the cluster does not go by the secret that it has.
    """
    return Witness(kind, layout, ask, _signed(kind, layout, ask) if kind in _SIGN else "")


def _signed(kind: Kind, layout: Layout, ask: Ask) -> str:
    """What the controller signs with the secret that it has: a credential, or a token."""
    node = _members(layout.definition, "slurmctld")[0]
    answer = ask(node, _SIGN[kind], "")
    if answer.code != 0 or not answer.stdout.strip():
        raise LabError(
            f"{node} signs nothing with {NAMES[kind]}",
            why=answer.stderr.strip(),
            hint=f"labctl up --name {layout.lab} brings the lab in order",
        )
    return answer.stdout.strip()


def _members(definition: Definition, group: str) -> list[str]:
    return groups.members(definition.machines()).get(group, [])


def _one_of_two(codes: Sequence[str]) -> bool:
    """The first was refused, the second was not."""
    return len(codes) == 2 and codes[0] != "0" and codes[1] == "0"  # noqa: PLR2004 - old and new


def _trusts(codes: Sequence[str], *, authority: bool) -> bool:
    return _one_of_two(codes) if authority else codes[-1:] == ["0"]
