"""How many CPUs the control group of this process allows: containers often see more cores than they may use."""

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _group_folders(controller: str) -> list[Path]:
    """Returns the folders of this process's group and of its parents, whose limits apply too."""
    folders = []
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            base = _ROOT / names if names else _ROOT
            group = base / path.strip("/")
            folders += [group, *(p for p in group.parents if p.is_relative_to(base))]
    return folders


def cpu_quota() -> int:
    """Returns how many CPUs are allowed, rounded up; 0 if there is no limit."""
    grants = []
    for folder in _group_folders(""):  # version 2: "quota period", or "max period"
        words = _read(folder / "cpu.max").split()
        if len(words) == 2 and words[0].isdigit():
            grants.append((int(words[0]), int(words[1])))
    for folder in _group_folders("cpu"):  # version 1: a quota of -1 means no limit
        quota, period = _read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip()
        if quota.isdigit() and period.isdigit():
            grants.append((int(quota), int(period)))
    return min((-(-quota // period) for quota, period in grants if quota and period), default=0)
