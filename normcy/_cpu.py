"""The name of this machine's CPU, for people who compare figures."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def cpu_name() -> str:
    """Returns the name that the system knows, such as "AMD EPYC 9R14"; where it knows none, the architecture."""
    found = _brand() if sys.platform == "darwin" else _model()
    return found or platform.processor() or platform.machine()


def _model() -> str:
    """Returns Linux's name of the first CPU; on 64-bit Arm it has none."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _brand() -> str:
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
