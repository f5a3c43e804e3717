"""How the suite learns about a cluster: what the inventory promises, and what the nodes answer."""
