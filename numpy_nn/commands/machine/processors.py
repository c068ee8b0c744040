"""How many processors this process may use: those of its affinity, within the quota of its container."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores() -> int:
    """The processors that this process may use at a time, at least 1.

    A quota of one and a half is counted as two: the second pays half of the time, and whoever takes it should measure.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(affinity, quota())))


def quota(own: Path = OWN_CGROUPS, root: Path = CGROUPS) -> float:
    """The processors' time that Linux's control groups leave this process a second, in seconds; at least one anywhere.

    inf without a limit, or on a system that has no such groups. ``own`` says in which groups the process is
    (cgroups(7)), and ``root`` is where they are mounted. A limit of a group holds for all in it, so that the least of
    a group's and its parents' counts.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    least = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2, which may be mounted beside version 1
            for mount in (root, root / "unified"):
                least = min([least, *(_limit_v2(group) for group in _up(mount, path))])
        elif "cpu" in controllers.split(","):
            for mount in (root / controllers, root / "cpu"):
                least = min([least, *(_limit_v1(group) for group in _up(mount, path))])
    return least


def _up(mount: Path, path: str) -> Iterator[Path]:
    """The group's folder and those of its parents, up to where they are mounted.

    In a container the path may be that of the machine while the mount shows the container's group alone: folders that
    are not there are then passed over, and the mount itself is the group.
    """
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    for length in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:length])


def _limit_v2(group: Path) -> float:
    """Of a group of version 2: ``cpu.max`` has microseconds of time, or "max", and the period in which they count."""
    words = _words(group / "cpu.max")
    return _seconds(*words) if len(words) == 2 else math.inf


def _limit_v1(group: Path) -> float:
    """Of a group of version 1, where the two numbers are in two files and -1 is no limit."""
    words = [*_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")]
    return _seconds(*words) if len(words) == 2 else math.inf


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []


def _seconds(time: str, period: str) -> float:
    if time == "max" or int(time) <= 0 or int(period) <= 0:
        return math.inf
    return int(time) / int(period)
