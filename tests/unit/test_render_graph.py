"""The picture of a lab says who is there, who talks to whom and how they are; as text, as Mermaid and as SVG."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import get_args
from xml.etree import ElementTree as ET

import pytest

from labctl.definition import hostlist
from labctl.definition.loading import load, loads
from labctl.definition.models import Definition
from labctl.definition.shipped import paths
from labctl.render.graph.drawing import FRAME, MARGIN, MOST, drawing
from labctl.render.graph.mermaid import mermaid
from labctl.render.graph.shapes import Box
from labctl.render.graph.svg import DARK, LIGHT, svg
from labctl.render.graph.text import WIDTH, ascii_only, text
from labctl.render.graph.topology import Service, State, Topology, state, topology

LARGE = """
name: large
users: [{name: ann, uid: 10000}]
nodes:
  - {name: head, roles: [ldap_server, nfs_server]}
  - {name: ctl, roles: [slurmctld]}
  - {name: "cpu-[00-15]", roles: [slurmd], cpus: 2, memory: 1024, partitions: [cpu, long]}
  - {name: "gpu-[0-3]", roles: [slurmd], gpus: 4, partitions: [gpu]}
  - {name: fat-0, roles: [slurmd], memory: 8192, partitions: [cpu]}
  - {name: login-0}
partitions:
  - {name: cpu, default: true, max_time: "1:00:00"}
  - {name: long, max_time: 7-00}
  - {name: gpu, max_time: 30}
"""
PLAIN = """
name: plain
users: [{name: ann, uid: 10000}]
nodes:
  - {name: ldap-0, roles: [ldap_server], memory: 512}
  - {name: nfs-0, roles: [nfs_server], memory: 512}
  - {name: slurmctld-0, roles: [slurmctld]}
  - {name: "cpu-[0-1]", roles: [slurmd], cpus: 2, memory: 1024, partitions: [cpu]}
  - {name: gpu-0, roles: [slurmd], cpus: 2, memory: 1024, gpus: 4, partitions: [gpu]}
partitions:
  - {name: cpu, default: true, max_time: "1:00:00"}
  - {name: gpu, max_time: "1:00:00"}
"""
OWN = {"large": LARGE, "plain": PLAIN}
ALL = [*paths(), *OWN]
SVG = "{http://www.w3.org/2000/svg}"


def definition(name: str) -> Definition:
    return loads(OWN[name]) if name in OWN else load(name)


def living(name: str, **states: State) -> Topology:
    """The lab of a definition, all of it well but for what is given with _ for -."""
    what = definition(name)
    well = {node.name: state("running", "idle" if "slurmd" in node.roles else "") for node in what.machines()}
    return topology(
        what,
        about="running, libvirt (qemu)",
        network="10.20.30.0/24",
        states=well | {node.replace("_", "-"): given for node, given in states.items()},
        addresses={node.name: f"10.20.30.{10 + at}" for at, node in enumerate(what.machines())},
    )


DOWN = State("down*", "bad", 'bad <fan> & "noise"')


def test_who_talks_to_whom_follows_the_groups_that_the_roles_go_by() -> None:
    plan = topology(load("full"))
    said = {link.service: (plan.clients(link), link.server) for link in plan.links}
    assert said == {
        "LDAP": ("all nodes", "ldap-0"),
        "NFS": ("all but nfs-0", "nfs-0"),
        "Slurm": ("cpu-[0-1],gpu-0", "slurmctld-0"),
        "MUNGE": ("all but ldap-0,nfs-0", ""),
        "Accounting": ("", "slurmctld-0"),
        "REST": ("", "slurmctld-0"),
        "Registry": ("all but ldap-0,nfs-0", "slurmctld-0"),
        "Jupyter": ("cpu-[0-1],gpu-0", "login-0"),
    }


def test_a_node_that_does_all_talks_to_itself_alone() -> None:
    plan = topology(load("cpu"))
    assert {plan.clients(link) for link in plan.links} == {""}
    assert "LDAP   cpu-0 itself" in text(plan)


def test_what_users_set_themselves_is_what_the_picture_says() -> None:
    links = {link.service: link.about for link in topology(load("mini-hpc")).links}
    assert links["NFS"] == "/home, /data, /opt, /srv (2049)"
    assert links["Slurm"] == "jobs (7002, 7003)"
    template = topology(load("cpu", overrides=["vars.nfs_server_exports='{{ mine }}'"]))
    assert next(link.about for link in template.links if link.service == "NFS") == "(2049)"


@pytest.mark.parametrize(
    ("machine", "slurm", "word", "tone"),
    [
        ("running", "", "running", "good"),
        ("running", "idle", "idle", "good"),
        ("running", "idle*", "idle*", "bad"),
        ("running", "mixed", "mixed", "busy"),
        ("running", "allocated*", "allocated*", "bad"),
        ("running", "drained", "drained", "bad"),
        ("running", "unknown", "unknown", "bad"),
        ("stopped", "idle", "stopped", "off"),
        ("missing", "", "missing", "off"),
        ("crashed", "down*", "crashed", "bad"),
    ],
)
def test_a_node_is_as_slurm_says_while_its_machine_runs(
    machine: str, slurm: str, word: str, tone: str
) -> None:
    assert (state(machine, slurm).word, state(machine, slurm).tone) == (word, tone)


def test_text_is_a_picture_of_nodes_on_a_network() -> None:
    assert (
        text(living("plain", cpu_1=State("mixed", "busy"), gpu_0=DOWN))
        == """\
plain: running, libvirt (qemu)

  network 10.20.30.0/24
  │
  │  services
  ├─ ldap-0       LDAP server       1 CPU   512 MiB           ● running
  ├─ nfs-0        NFS server        1 CPU   512 MiB           ● running
  ├─ slurmctld-0  Slurm controller  1 CPU   768 MiB           ● running
  │
  │  partition cpu (default, 1:00:00)
  ├─ cpu-0        compute node      2 CPUs  1024 MiB          ● idle
  ├─ cpu-1        compute node      2 CPUs  1024 MiB          ◐ mixed
  │
  │  partition gpu (1:00:00)
  └─ gpu-0        compute node      2 CPUs  1024 MiB  4 GPUs  ✖ down*
       bad <fan> & "noise"

  LDAP   all nodes ──▶ ldap-0                 users, groups (389, StartTLS)
  NFS    all but nfs-0 ──▶ nfs-0              /home, /data (2049)
  Slurm  cpu-[0-1],gpu-0 ◀─▶ slurmctld-0      jobs (6817, 6818)
  MUNGE  all but ldap-0,nfs-0 ◀─▶ each other  one key, mutual trust
"""
    )


def test_text_names_all_that_a_node_does_below_each_other() -> None:
    lines = [line.strip(" │├─└") for line in text(living("full")).splitlines()]
    at = next(index for index, line in enumerate(lines) if line.startswith("login-0"))
    assert [line.split("  ")[0] for line in lines[at + 1 : at + 3]] == ["JupyterHub", "containers"]
    assert " ".join(lines[at].split()) == "login-0 login node 2 CPUs 1024 MiB ● running"
    at = next(index for index, line in enumerate(lines) if line.startswith("Jupyter "))
    assert " ".join(" ".join(lines[at : at + 2]).split()) == (
        "Jupyter cpu-[0-1],gpu-0 ──▶ login-0 notebooks (8000, by SSH)"
    )


def test_text_says_once_what_is_alike() -> None:
    lines = [" ".join(line.split()) for line in text(living("large", cpu_03=DOWN)).splitlines()]
    assert "├─ cpu-[00-02,04-15] 15 nodes 2 CPUs 1024 MiB ● idle" in lines
    assert "├─ gpu-[0-3] 4 nodes 1 CPU 768 MiB 4 GPUs ● idle" in lines
    assert "│ partitions cpu (default, 1:00:00), long (7-00)" in lines
    assert "│ partition gpu (30 minutes)" in lines


@pytest.mark.parametrize("name", ALL)
def test_text_fits_a_terminal_whatever_nodes_are_called(name: str) -> None:
    reason = State(
        "drained", "bad", "a disk that has failed, and a technician who does not come before Monday"
    )
    wide = living(name, **{definition(name).machines()[-1].name.replace("-", "_"): reason})
    long = replace(wide, nodes=tuple(replace(node, name=f"{node.name}-{'x' * 50}") for node in wide.nodes))
    for picture in (text(wide), text(long), text(topology(definition(name)))):
        pictured = picture.partition("\n\n  LDAP")[0]
        assert max(map(len, pictured.splitlines())) <= WIDTH
    assert max(map(len, text(wide).splitlines())) <= WIDTH


def test_text_for_a_terminal_without_such_characters() -> None:
    picture = text(living("full", gpu_0=DOWN))
    plain = ascii_only(picture)
    assert plain.isascii()
    assert len(plain) == len(picture)


@pytest.mark.parametrize("name", ALL)
def test_mermaid_has_every_node_once_and_ties_only_what_it_has(name: str) -> None:
    chart = mermaid(living(name))
    boxes = dict(re.findall(r'^      (n\d+)\["([^"]*)"\]:::good$', chart, re.MULTILINE))
    names = [node for box in boxes.values() for node in hostlist.expand(box.partition("<br>")[0])]
    assert sorted(names) == sorted(node.name for node in definition(name).machines())
    groups = re.findall(r'^ +subgraph (\w+)\["[^"]+"\]$', chart, re.MULTILINE)
    assert len(groups) == len(re.findall(r"^ +end$", chart, re.MULTILINE))
    edges = re.findall(r"^  (\w+) <?-->\|[\w, ]+\| (\w+)$", chart, re.MULTILINE)
    assert {end for edge in edges for end in edge} <= {*boxes, *groups}
    assert all(client != server for client, server in edges)
    rest = re.sub(r'"[^"]*"', '""', chart)
    assert rest.startswith('---\ntitle: ""\n---\nflowchart TB\n')


def test_mermaid_says_states_in_words_and_colours() -> None:
    chart = mermaid(living("plain", gpu_0=DOWN))
    assert '10.20.30.15<br>✖ down*"]:::bad' in chart
    assert "rack1 <-->|Slurm, MUNGE| n2" in chart
    assert "classDef bad " in chart


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("planned", [True, False])
def test_svg_is_one_file_that_needs_nothing_else(name: str, planned: bool) -> None:
    picture = svg(topology(definition(name)) if planned else living(name, gpu_0=DOWN))
    root = ET.fromstring(picture)  # noqa: S314 - our own
    shown = " ".join(element.text or "" for element in root.iter(f"{SVG}text"))
    for node in definition(name).machines():
        assert node.name in shown
    assert not [element for element in root.iter() if element.tag in {f"{SVG}script", f"{SVG}image"}]
    assert picture.count("http") == picture.count('xmlns="http://www.w3.org/2000/svg"') == 1
    assert "url(" not in picture


def test_what_the_svg_says_of_services_fits_beside_their_lines() -> None:
    assert "…" not in svg(topology(load("full")))


def test_svg_says_states_in_words_and_why() -> None:
    root = ET.fromstring(svg(living("full", gpu_0=DOWN)))  # noqa: S314 - our own
    said = [element.text for element in root.iter(f"{SVG}text")]
    assert {"idle", "down*", 'gpu-0 down*: bad <fan> & "noise"'} <= set(said)
    about = root.findtext(f"{SVG}desc", "")
    assert "LDAP by ldap-0" in about
    assert "gpu-0 is down*" in about


def test_svg_has_a_colour_for_every_state_and_service_on_both_kinds_of_page() -> None:
    for one in ("services", "tones", "tints", "edges"):
        assert getattr(LIGHT, one).keys() == getattr(DARK, one).keys()
    assert LIGHT.services.keys() == set(get_args(Service))
    style = svg(living("full")).partition("<style>")[2].partition("</style>")[0]
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    coloured = {
        line.partition(" {")[0].strip() for line in dark.splitlines() if "fill" in line or "stroke" in line
    }
    assert coloured <= {line.partition(" {")[0].strip() for line in light.splitlines()}
    assert LIGHT.paper in light
    assert DARK.paper in dark


def over(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.bottom
        and other.y < one.bottom
    )


@pytest.mark.parametrize("name", ALL)
def test_nothing_in_the_drawing_lies_on_something_else_or_outside(name: str) -> None:
    drawn = drawing(living(name, fat_0=DOWN))
    apart = [card.box for card in drawn.servers] + [panel.box for panel in drawn.panels]
    assert not [pair for pair in itertools.combinations(apart, 2) if over(*pair)]
    for panel in drawn.panels:
        boxes = [card.box for card in panel.cards]
        assert not [pair for pair in itertools.combinations(boxes, 2) if over(*pair)]
        for box in boxes:
            assert panel.box.x < box.x < box.x + box.width < panel.box.x + panel.box.width
            assert panel.box.y < box.y < box.bottom < panel.box.bottom
    for box in apart:
        assert FRAME < box.y < box.bottom < FRAME + drawn.frame
        assert MARGIN < box.x < box.x + box.width < drawn.width - MARGIN
    assert all(note.y < drawn.height for note in drawn.notes)


@pytest.mark.parametrize("name", ALL)
def test_each_service_has_a_line_that_ties_all_who_give_and_use_it(name: str) -> None:
    plan = topology(definition(name))
    drawn = drawing(plan)
    for link in plan.links:
        taps = [tap for tap in drawn.taps if tap.service == link.service]
        lane = next(lane for lane in drawn.lanes if lane.service == link.service)
        assert sum(tap.gives for tap in taps) == (1 if link.server else 0)
        assert all(lane.start < tap.x <= lane.end for tap in taps)
        places = [*drawn.servers, *drawn.panels]
        tied = [place for place in places if set(place.nodes) & {*link.clients, link.server}]
        assert len(taps) == len(tied)
    across = sorted(tap.x for tap in drawn.taps)
    assert min(right - left for left, right in itertools.pairwise(across)) > 3


def test_in_a_very_large_lab_nodes_that_are_alike_share_a_card() -> None:
    plan = topology(load("full", overrides=[f"nodes.cpu-[0-1].name=cpu-[0-{MOST}]"]))
    cards = [card for panel in drawing(plan).panels for card in panel.cards]
    assert [card.name for card in cards] == [f"cpu-[0-{MOST}]", "gpu-0"]
    assert f"{MOST + 1} nodes" in {line.said for line in cards[0].texts}


def test_ports_are_those_of_the_definition() -> None:
    ports = ["vars.slurmrestd_port=7777", "vars.registry_port=5555", "vars.jupyterhub_port=9000"]
    about = {str(link.service): link.about for link in topology(load("full", overrides=ports)).links}
    assert about["REST"] == "who has a token (7777, TLS)"
    assert about["Registry"] == "images (5555, TLS)"
    assert about["Jupyter"] == "notebooks (9000, by SSH)"
