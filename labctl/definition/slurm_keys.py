"""The keys of slurm.conf's NodeName and PartitionName lines (slurm.conf(5), 22.05 to 24.11)."""

from __future__ import annotations

NODE_KEYS = (
    "Arch", "BcastAddr", "Boards", "CoreSpecCount", "CoresPerSocket", "CpuBind", "CPUs",
    "CpuSpecList", "Feature", "Features", "Gres", "MemSpecLimit", "NodeAddr", "NodeHostname",
    "Parameters", "Port", "Procs", "RealMemory", "Reason", "RestrictedCoresPerGPU", "Sockets",
    "SocketsPerBoard", "State", "ThreadsPerCore", "TmpDisk", "Topology", "Weight",
)  # fmt: skip

PARTITION_KEYS = (
    "AllocNodes", "AllowAccounts", "AllowGroups", "AllowQos", "Alternate", "CpuBind", "Default",
    "DefaultTime", "DefCpuPerGPU", "DefMemPerCPU", "DefMemPerGPU", "DefMemPerNode",
    "DenyAccounts", "DenyQos", "DisableRootJobs", "ExclusiveTopo", "ExclusiveUser", "GraceTime",
    "Hidden", "JobDefaults", "LLN", "MaxCPUsPerNode", "MaxCPUsPerSocket", "MaxMemPerCPU",
    "MaxMemPerNode", "MaxNodes", "MaxTime", "MinNodes", "OverSubscribe", "OverTimeLimit",
    "PowerDownOnIdle", "PreemptMode", "PriorityJobFactor", "PriorityTier", "QOS", "ReqResv",
    "ResumeTimeout", "RootOnly", "SelectTypeParameters", "State", "SuspendTime", "SuspendTimeout",
    "Topology", "TRESBillingWeights",
)  # fmt: skip

#: What a node has; to claim other values Slurm needs SlurmdParameters=config_overrides.
HARDWARE_KEYS = (
    "Boards", "CoresPerSocket", "CPUs", "Procs", "RealMemory", "Sockets", "SocketsPerBoard",
    "ThreadsPerCore", "TmpDisk",
)  # fmt: skip


def canonical(key: str, known: tuple[str, ...]) -> str | None:
    """The spelling of slurm.conf(5); Slurm itself reads keys in any case. None: no such key."""
    found = next((name for name in known if name.lower() == key.lower()), None)
    return "Feature" if found == "Features" else found
