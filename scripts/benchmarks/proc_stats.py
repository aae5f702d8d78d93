"""CPU and memory of a process: from /proc on Linux, from ps elsewhere."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ON_LINUX = sys.platform == "linux"


def cpu_s(pid: int) -> float:
    """Return the CPU time of all threads, user and system; its resolution is 10 ms."""
    if ON_LINUX:
        # the second field is the program's name in parentheses, which may contain spaces
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    seconds = 0.0
    for part in _ps("time", pid).replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def rss_mb(pid: int) -> float:
    """Return the resident memory, in MB of 1024 * 1024 bytes."""
    if ON_LINUX:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0  # an ending process has none
    return int(_ps("rss", pid)) / 1024


def peak_mb(pid: int) -> float:
    """Return the most resident memory since its start, or since `forget_peak`."""
    if not ON_LINUX:
        return rss_mb(pid)
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peak(pid: int) -> None:
    """Begin anew to look for the most memory, where the system can."""
    if ON_LINUX:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def open_files(pid: int) -> int:
    """Return how many file descriptors it has open; 0 where the system does not say."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) if ON_LINUX else 0


def machine() -> str:
    """Return the facts that the numbers depend on, and nothing that identifies the machine."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    served_by = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "aiohttp", "openai"))
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {python}, {served_by}, "
        f"load average {load} before the run"
    )


def _ps(column: str, pid: int) -> str:
    listing = subprocess.run(
        ["ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return listing.stdout.strip()
