"""Plugins that Ansible loads by itself when labctl runs it: a file each."""
