"""How many threads the engine takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import threads


def _process(folder: Path, lines: str) -> Path:
    process = folder / "process"
    process.mkdir()
    (process / "cgroup").write_text(lines)
    return process


def _group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_quota_of_version_2_is_the_smallest_of_the_group_and_its_ancestors(tmp_path: Path) -> None:
    mount = tmp_path / "cgroup"
    _group(mount / "pods", cpu__max="150000 100000")
    _group(mount / "pods" / "worker", cpu__max="400000 100000")
    process = _process(tmp_path, "0::/pods/worker\n")
    assert threads.cpu_quota(process, mount) == 1.5


def test_quota_of_version_2_can_be_unlimited(tmp_path: Path) -> None:
    mount = tmp_path / "cgroup"
    _group(mount, cpu__max="max 100000")
    assert threads.cpu_quota(_process(tmp_path, "0::/\n"), mount) is None


@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu"])
def test_quota_of_version_1_is_found_under_its_controllers(tmp_path: Path, controllers: str) -> None:
    mount = tmp_path / "cgroup"
    _group(mount / controllers / "docker", cpu__cfs_quota_us="250000", cpu__cfs_period_us="100000")
    _group(mount / controllers, cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    process = _process(tmp_path, f"4:{controllers}:/docker\n3:memory:/docker\n")
    assert threads.cpu_quota(process, mount) == 2.5


def test_a_path_of_the_host_falls_back_to_the_mounted_root(tmp_path: Path) -> None:
    mount = tmp_path / "cgroup"
    _group(mount, cpu__max="200000 100000")
    assert threads.cpu_quota(_process(tmp_path, "0::/somewhere/else\n"), mount) == 2.0


def test_no_control_groups_mean_no_quota(tmp_path: Path) -> None:
    assert threads.cpu_quota(tmp_path, tmp_path) is None


@pytest.mark.parametrize(("quota", "expected"), [(None, 4), (1.5, 1), (0.5, 1), (3.0, 3), (64.0, 4)])
def test_processors_are_the_quota_rounded_down_within_the_affinity(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    assert threads.available_processors() == expected


def test_the_setting_wins_over_openmp_and_openmp_over_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available_processors", lambda: 7)
    monkeypatch.delenv("BEAGLE_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads.thread_count() == 7
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert threads.thread_count() == 5
    monkeypatch.setenv("BEAGLE_THREADS", "3")
    assert threads.thread_count() == 3


@pytest.mark.parametrize("setting", ["0", "-1", "two", "1.5"])
def test_a_wrong_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("BEAGLE_THREADS", setting)
    with pytest.raises(ValueError, match=f"BEAGLE_THREADS must be a positive integer. Received: '{setting}'"):
        threads.thread_count()


def test_a_chosen_wait_policy_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    with threads.openmp_environment(2):
        assert "GOMP_SPINCOUNT" not in os.environ
        assert os.environ["OMP_NUM_THREADS"] == "2"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    with threads.openmp_environment(2):
        assert "GOMP_SPINCOUNT" in os.environ
    assert "GOMP_SPINCOUNT" not in os.environ
