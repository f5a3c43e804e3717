"""Addresses and MACs of nodes: distinct, within the network, and the same as before."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from layouts import network

from labctl.addresses import assign, mac

LAB = network("10.9.8.0/24")


def test_nodes_get_addresses_in_order_above_those_of_the_host() -> None:
    assert assign(LAB, ["head", "cpu-0"], {}) == {"head": "10.9.8.10", "cpu-0": "10.9.8.11"}


def test_a_node_keeps_its_address_and_a_new_one_gets_the_lowest_free_one() -> None:
    known = {"head": "10.9.8.11", "gone": "10.9.8.10", "cpu-0": "10.9.8.12"}
    assert assign(LAB, ["new", "cpu-0", "head", "newer"], known) == {
        "new": "10.9.8.10",
        "cpu-0": "10.9.8.12",
        "head": "10.9.8.11",
        "newer": "10.9.8.13",
    }


def test_an_address_of_another_network_is_not_kept() -> None:
    assert assign(LAB, ["head"], {"head": "10.7.7.10"}) == {"head": "10.9.8.10"}


@pytest.mark.parametrize(("subnet", "nodes"), [("10.9.8.0/28", 13), ("10.9.8.0/29", 5), ("10.9.8.0/24", 245)])
def test_in_a_small_network_every_address_but_the_hosts_can_be_used(subnet: str, nodes: int) -> None:
    where = network(subnet)
    addresses = assign(where, [f"cpu-{number}" for number in range(nodes)], {}).values()
    assert len(set(addresses)) == nodes
    assert all(IPv4Address(address) in list(where.subnet.hosts()) for address in addresses)
    assert str(where.gateway) not in addresses


def test_the_same_node_has_the_same_mac_and_no_other_node_has_it() -> None:
    assert mac("full", "head") == mac("full", "head")
    assert len({mac("full", "head"), mac("full", "cpu-0"), mac("other", "head")}) == 3
    assert mac("full", "head").startswith("52:54:00:")
    assert len(bytes.fromhex(mac("full", "head").replace(":", ""))) == 6
