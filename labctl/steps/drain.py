"""Drain: nodes that go away get no new jobs, and none of their jobs is lost without a word."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from labctl.console import StepView
from labctl.errors import JobsRunError, LabError
from labctl.providers.base import Answer

#: What Slurm shows as the reason; nodes that are drained with it are ours to resume.
REASON = "labctl: goes away"

_DRAIN = """
scontrol update NodeName={nodes} State=DRAIN Reason={reason} || exit
squeue --noheader --nodelist={nodes} --states=RUNNING,SUSPENDED,COMPLETING,CONFIGURING --format='%A %u %j %N'
"""
# What cannot begin again, such as a shell of salloc, ends. A node must not go before its jobs have ended: they would
# be completing for ever.
_REQUEUE = """
for job in {jobs}; do scontrol requeue "$job" || scancel "$job"; done
end=$(($(date +%s) + {patience}))
while [ "$(date +%s)" -lt "$end" ]; do
    left=$(squeue --noheader --nodelist={nodes} --states=RUNNING,SUSPENDED,COMPLETING,CONFIGURING) || exit
    [ -n "$left" ] || exit 0
    sleep 1
done
echo "jobs on them do not end within {patience} s" >&2
exit 1
"""
_PATIENCE = 60  # seconds for jobs to end; Slurm kills what does not after KillWait, 30 seconds
#: Seconds for the controller's answer to any of these.
DEADLINE = 180.0
_RESUME = """
drained=$(sinfo --noheader --Node --states=drain --format='%N|%E') || exit
echo "$drained" | sort -u | while IFS='|' read -r node reason; do
    case "$reason" in {reason}*) scontrol update NodeName="$node" State=RESUME || exit; echo "$node" ;; esac
done
"""

#: Runs a shell script as root on the controller.
Tell = Callable[[str], Answer]


def drain(tell: Tell, nodes: Sequence[str], view: StepView, *, force: bool) -> None:
    """Have Slurm give these nodes no more jobs.

    Args:
        tell: reaches the controller.
        nodes: their names.
        view: is told of each.
        force: put jobs that run on them back into the queue; without it they keep the nodes from going.

    Raises:
        JobsRunError: jobs run on them.
        LabError: Slurm refuses it, or the jobs do not end. Whatever is raised, the nodes take new jobs again.
    """
    try:
        _drain(tell, nodes, view, force=force)
    except BaseException:
        view.note(given_back(tell, nodes))
        raise
    for node in nodes:
        view.node(node, "drained", "changed")


def _drain(tell: Tell, nodes: Sequence[str], view: StepView, *, force: bool) -> None:
    hostlist = shlex.quote(",".join(nodes))
    said = _told(tell, _DRAIN.format(nodes=hostlist, reason=shlex.quote(REASON)))
    jobs = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    if not jobs:
        return
    if not force:
        raise JobsRunError(
            f"jobs run on nodes that are to go: {', '.join(nodes)}",
            why="\n".join(f"job {job}: {rest}" for job, rest in jobs.items()),
            hint="wait for them, end them with scancel, or say --force: Slurm then queues them again",
        )
    ids = " ".join(map(shlex.quote, jobs))
    _told(tell, _REQUEUE.format(jobs=ids, nodes=hostlist, patience=_PATIENCE))
    view.note(f"{len(jobs)} jobs are back in the queue")


def given_back(tell: Tell, nodes: Sequence[str]) -> str:
    """Let nodes take jobs again because nothing comes of the change; what came of that, in words."""
    names = ", ".join(nodes)
    try:
        back = resume(tell)
    except LabError as error:
        why = (error.why or error.what).splitlines()[0] if (error.why or error.what) else "Slurm refuses"
        return f"{names} may still be drained ({why}); labctl up, once the lab answers, lets them take jobs again"
    return f"{', '.join(back) or names} take jobs again"


def resume(tell: Tell) -> tuple[str, ...]:
    """Let those nodes take jobs again that were drained here and are still there; which ones these are."""
    return tuple(_told(tell, _RESUME.format(reason=shlex.quote(REASON))).split())


def _told(tell: Tell, script: str) -> str:
    answer = tell(script)
    if answer.code != 0:
        raise LabError(
            "Slurm cannot be told which nodes go away", why=answer.stderr.strip(), hint="labctl status"
        )
    return answer.stdout
