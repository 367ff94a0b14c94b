"""How many processors the engine may use, and keeping thread pools from fighting over them.

The engine's kernels run on OpenMP threads. Their number is `BEAGLE_THREADS`, else `OMP_NUM_THREADS`, else what the
affinity mask and the container's CPU quota allow. NumPy's BLAS has a pool of its own, which is limited to one thread
once the kernels are in use: two pools on the same cores slow each other down more than twofold.

An OpenMP thread that has nothing to do spins for a while before it sleeps. GNU's runtime spins for many milliseconds,
which on processors that are shared (with web processes, with Redis) takes the time from those it waits for: sleeping
after some tens of microseconds makes a training step 1.2 to 2 times as fast there, and costs little elsewhere.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

logger = logging.getLogger("engine")

SETTING = "BEAGLE_THREADS"
_OPENMP_SETTING = "OMP_NUM_THREADS"
_SPIN_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
_SPIN_COUNT = 1000  # pauses, each of some tens of nanoseconds
_blas_limit: Any = None  # threadpoolctl restores the former limit when this object is closed


def thread_count() -> int:
    """The number of threads that kernels run on.

    Raises:
        ValueError: `BEAGLE_THREADS` is no positive integer.
    """
    setting = os.environ.get(SETTING, "").strip()
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise ValueError(f"{SETTING} must be a positive integer. Received: {setting!r}")
        return int(setting)
    # OMP_NUM_THREADS may be a list, one entry per nesting level.
    openmp = os.environ.get(_OPENMP_SETTING, "").split(",")[0].strip()
    if openmp.isdecimal() and int(openmp) > 0:
        return int(openmp)
    return available_processors()


def available_processors() -> int:
    """The processors of the affinity mask, or fewer where a control group grants less; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    # Rounded down: threads beyond the quota are throttled, and the others wait for them at every barrier.
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cpu_quota(process: Path = Path("/proc/self"), mount: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The processors that this process's control group and its ancestors grant, as a fraction; None: no limit.

    Reads version 2 (`cpu.max`) and version 1 (`cpu.cfs_quota_us`, `cpu.cfs_period_us`) of the kernel's interface.
    """
    try:
        lines = (process / "cgroup").read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            roots = [mount]
        elif "cpu" in controllers.split(","):
            roots = [mount / controllers, mount / "cpu"]
        else:
            continue
        for root in roots:
            group = root / path.lstrip("/")
            # In a container the path may be the host's and not exist here; the root then is the container's own group.
            for folder in (group, *group.parents):
                quota = _group_quota(folder)
                if quota is not None:
                    quotas.append(quota)
                if folder == root:
                    break
    return min(quotas, default=None)


def _group_quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        if quota in ("max", "-1"):
            return None
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


@contextmanager
def openmp_environment(count: int) -> Iterator[None]:
    """What an OpenMP runtime that is loaded inside this block reads; the environment is restored afterwards.

    It starts `count` threads and spins briefly, unless the environment says how long.
    """
    settings = {_OPENMP_SETTING: str(count)}
    if not any(name in os.environ for name in _SPIN_SETTINGS):
        settings[_SPIN_SETTINGS[0]] = str(_SPIN_COUNT)
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def limit_blas() -> None:
    """Limits NumPy's BLAS to one thread, for good; without threadpoolctl it says once that it could not."""
    global _blas_limit
    if _blas_limit is not None:
        return
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        logger.warning("threadpoolctl is not installed: NumPy's threads and the kernels' share the processors.")
        _blas_limit = False
        return
    _blas_limit = threadpool_limits(limits=1, user_api="blas")
