"""Description of the machine of a measurement."""

from __future__ import annotations

import os
import platform
import resource
from importlib.metadata import version
from pathlib import Path

NAMES = ("xgapfill", "torch", "numpy", "dask", "xarray", "zarr")


def describe() -> str:
    """Processor, cores, memory, load of the last minute, and versions: one line per kind."""
    model = platform.processor() or platform.machine()
    details = Path("/proc/cpuinfo")
    if details.exists():
        named = [line.split(":")[1].strip() for line in details.read_text().splitlines() if "model name" in line]
        model = named[0] if named else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cores, load = os.cpu_count(), os.getloadavg()[0]
    versions = ", ".join(f"{name} {version(name)}" for name in NAMES)
    python = platform.python_version()
    return f"{model}, {cores} cores, {memory:.0f} GB; load {load:.1f} at the start\nPython {python}, {versions}"


def peak_memory() -> float:
    """Peak memory of the process, MB."""
    # getrusage also counts the memory of the parent process
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory() -> float:
    """Memory of the process, MB; its peak on systems other than Linux."""
    return _status("VmRSS") or peak_memory()


def _status(name: str) -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
