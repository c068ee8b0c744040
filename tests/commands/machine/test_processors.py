"""How many processors a process may use, from files as Linux has them."""

import math
import os

import pytest

from numpy_nn.commands.machine import processors
from numpy_nn.commands.machine.processors import quota, usable_cores


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def written(tmp_path, content):
    own = tmp_path / "cgroup"
    own.write_text(content)
    return own


@pytest.mark.parametrize(
    ("content", "expected"),
    [("max 100000", math.inf), ("100000 100000", 1.0), ("150000 100000", 1.5), ("20000 10000", 2.0)],
)
def test_version_2(tmp_path, content, expected):
    group(tmp_path, cpu__max=content)
    assert quota(written(tmp_path, "0::/\n"), tmp_path) == expected


def test_a_limit_of_a_parent_holds_for_the_child(tmp_path):
    own = written(tmp_path, "0::/user/job\n")
    group(tmp_path / "user", cpu__max="200000 100000")
    group(tmp_path / "user" / "job", cpu__max="max 100000")
    assert quota(own, tmp_path) == 2.0
    group(tmp_path / "user" / "job", cpu__max="50000 100000")
    assert quota(own, tmp_path) == 0.5


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("time", "expected"), [(-1, math.inf), (100_000, 1.0), (350_000, 3.5)])
def test_version_1(tmp_path, folder, time, expected):
    group(tmp_path / folder / "job", cpu__cfs_quota_us=time, cpu__cfs_period_us=100_000)
    assert quota(written(tmp_path, f"4:memory:/job\n1:{folder}:/job\n0::/\n"), tmp_path) == expected


def test_in_a_container_the_mount_is_the_group(tmp_path):
    group(tmp_path / "cpu", cpu__cfs_quota_us=100_000, cpu__cfs_period_us=100_000)
    assert quota(written(tmp_path, "1:cpu:/docker/0a1b2c\n"), tmp_path) == 1.0


def test_without_groups_there_is_no_limit(tmp_path):
    assert quota(tmp_path / "none", tmp_path) == math.inf
    assert quota(written(tmp_path, "0::/\n"), tmp_path) == math.inf


@pytest.mark.parametrize(
    ("affinity", "limit", "expected"), [(8, 1.0, 1), (8, 1.5, 2), (2, math.inf, 2), (4, 16.0, 4), (2, 0.25, 1)]
)
def test_the_least_of_affinity_and_quota_counts(monkeypatch, affinity, limit, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr(processors, "quota", lambda: limit)
    assert usable_cores() == expected


def test_a_system_without_affinity_has_all_its_processors(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(processors, "quota", lambda: math.inf)
    assert usable_cores() == 6
