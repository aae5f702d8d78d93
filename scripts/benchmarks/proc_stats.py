"""What a process has used: from /proc on Linux, from ps elsewhere."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ON_LINUX = sys.platform == "linux"


def cpu_s(pid: int) -> float:
    """Seconds of processor time, user and system, of all threads; in steps of 10 ms."""
    if ON_LINUX:
        # the second field is the program's name in brackets, and may hold spaces
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    seconds = 0.0
    for part in _ps("time", pid).replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def rss_mb(pid: int) -> float:
    """Resident memory now, in MB of 1024 * 1024 bytes."""
    if ON_LINUX:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0  # a process that is ending has none
    return int(_ps("rss", pid)) / 1024


def machine() -> str:
    """The facts that numbers depend on; nothing that tells whose machine it is."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    served_by = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "aiohttp", "openai"))
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {python}, {served_by}, "
        f"load average {load} before the run"
    )


def _ps(what: str, pid: int) -> str:
    asked = subprocess.run(
        ["ps", "-o", f"{what}=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return asked.stdout.strip()
