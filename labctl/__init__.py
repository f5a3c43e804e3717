"""labctl: a real HPC cluster in virtual machines, in one command."""

__version__ = "0.1.0"
