"""What ansible-playbook is told beside the lab's own inventory: settings, and the nodes' interpreter."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

from labctl import callbacks
from labctl.resources import resource


def environment(private: Path, scratch: Path) -> dict[str, str]:
    """The environment of ansible-playbook, on top of the caller's own.

    Args:
        private: a directory for what Ansible wants to keep during the run.
        scratch: a directory with a short path for temporary files.
    """
    config = private / "ansible.cfg"
    # By itself Ansible looks a thousand times a second whether a task has ended, with a good part of the CPU that
    # emulated machines wait for. Fifty times are too few: each task of a host waits for the one before. Seconds.
    config.write_text("[defaults]\ninternal_poll_interval = 0.005\n")
    mitogen = _mitogen()
    templates = scratch / "templates"
    templates.mkdir(mode=0o700, exist_ok=True)
    settings = {
        # labctl may have been started by its absolute path; ansible-playbook lies beside its Python.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "TMPDIR": str(scratch),
        "ANSIBLE_CONFIG": str(config),  # the user's own ansible.cfg is about other clusters
        "ANSIBLE_HOME": str(private / "home"),
        "ANSIBLE_LOCAL_TEMP": str(scratch / "ansible"),
        "ANSIBLE_ROLES_PATH": str(resource("roles")),
        "ANSIBLE_STRATEGY": "mitogen_free" if mitogen is not None else "free",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_TIMEOUT": "60",  # seconds to connect; six machines that work under emulation let one wait for long
        "ANSIBLE_GATHERING": "explicit",
        # Otherwise every module tells its node's journal all its arguments, files' content among them; the log is here.
        "ANSIBLE_NO_TARGET_SYSLOG": "1",
        "ANSIBLE_HOST_KEY_CHECKING": "True",  # ssh_config says how; ansible-runner would switch it off
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",  # Mitogen's strategy draws one in every run
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_DISPLAY_OK_HOSTS": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_PLUGINS": callbacks.__path__[0],
        "ANSIBLE_CALLBACKS_ENABLED": "done_once",
        "LABCTL_TEMPLATES": str(templates),
        # Whatever the caller's says: ansible-runner's callback writes each event in pieces while all hosts wait, and
        # unbuffered every piece is a write of its own.
        "PYTHONUNBUFFERED": "",
    }
    if mitogen is not None:
        settings["ANSIBLE_STRATEGY_PLUGINS"] = str(mitogen / "plugins" / "strategy")
    if "ANSIBLE_STRATEGY" in os.environ:
        settings["ANSIBLE_STRATEGY"] = os.environ["ANSIBLE_STRATEGY"]
    return settings


def interpreter(private: Path, python: str) -> list[str]:
    """An inventory that tells the nodes' interpreter, unless that is empty or there is no Mitogen to make use of it.

    It is to be read after the lab's own; what stands in group_vars and host_vars is stronger than both.
    """
    if not python or _mitogen() is None:
        return []
    file = private / "interpreter.yml"
    file.write_text(json.dumps({"all": {"vars": {"ansible_python_interpreter": python}}}))
    return [str(file)]


def _mitogen() -> Path | None:
    """The folder of Mitogen's plugins for Ansible, if it is installed."""
    found = importlib.util.find_spec("ansible_mitogen")
    return Path(found.origin).parent if found is not None and found.origin else None
