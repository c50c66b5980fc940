"""Ray as a place for workers: a cluster that runs, or one on this machine alone, and how workers fit into it."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from competency_gaps.config import RayWorkers
from competency_gaps.errors import MachineError, MissingExtraError, UserError, argument
from competency_gaps.text import shorten

_OBJECT_STORE = 75 * 2**20
"""Bytes of the object store of a cluster that is started here, the fewest that Ray takes: names, counts and checksums
are so short that Ray sends them beside it."""


class Fit(NamedTuple):
    """How many workers there are, and what each takes."""

    workers: int
    threads: int
    gpus: float


def require_ray() -> None:
    """Raise MissingExtraError if Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("ray", "ray", "reading on several workers")


@contextmanager
def cluster(settings: RayWorkers) -> Iterator[Any]:
    """Ray, connected to the cluster of the settings, the program's own, or one that ends with the body.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    UserError
        If there is no cluster at the address, or it cannot be used, as one of another version.
    MachineError
        If none can be started here.
    """
    # Ray's reports to its makers, which it would send unasked.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    require_ray()
    import ray

    if ray.is_initialized():
        known = ray.get_runtime_context().gcs_address
        if settings.address not in (None, "auto", known):
            raise UserError(
                f"{argument('address')} {settings.address!r}: this program is connected to the Ray cluster at {known} "
                "already. Leave the address out, or end that connection first."
            )
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if settings.address is None:
            ray.init(address="local", **_local(settings), **quiet)
        else:
            ray.init(address=settings.address, **quiet)
    except Exception as error:  # Ray raises it as such, where a machine is too busy to start in time
        ray.shutdown()
        if settings.address is None:
            raise MachineError(
                f"Ray does not start on this machine: {shorten(' '.join(str(error).split()), 300)}. Run again when it "
                "is less busy and has memory to spare, or without workers."
            ) from error
        where = argument("address")
        raise UserError(f"the Ray cluster at {settings.address!r} ({where}) cannot be used: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _local(settings: RayWorkers) -> dict[str, Any]:
    """Options of a cluster that nobody else can reach."""
    needed = (settings.workers or 1) * (settings.threads or 1)
    return {
        "num_cpus": max(_cores(), needed),
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
        "object_store_memory": _OBJECT_STORE,
        "_system_config": {"enable_metrics_collection": False},
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fit(settings: RayWorkers, machines: Sequence[tuple[int, float]]) -> Fit:
    """Choose what the settings leave open.

    Parameters
    ----------
    machines
        Cores and GPUs of each machine of the cluster.

    Raises
    ------
    UserError
        If the workers do not fit into the cluster, or a worker's GPUs are no whole number above 1.
    """
    has_gpus = any(gpus > 0 for _, gpus in machines)
    gpus = settings.gpus_per_worker if settings.gpus_per_worker is not None else float(has_gpus)
    if gpus > 1 and not gpus.is_integer():
        raise UserError(f"{argument('gpus_per_worker')} {gpus:g}: expected a whole number, or a share below 1.")
    workers = settings.workers
    if workers is None:
        workers = _room(machines, settings.threads or 1, gpus) if gpus else sum(cores > 0 for cores, _ in machines)
    threads = settings.threads or next(
        (
            t
            for t in range(max(1, sum(c for c, _ in machines) // max(1, workers)), 0, -1)
            if _room(machines, t, gpus) >= workers
        ),
        1,
    )
    room = _room(machines, threads, gpus)
    if workers < 1 or room < workers:
        there = ", ".join(f"{cores} cores and {given:g} GPUs" for cores, given in machines[:6])
        raise UserError(
            f"{argument('workers')} {workers} with {threads} threads and {gpus:g} GPUs each: the cluster has room for "
            f"{room} ({there}). Ask for fewer, or for less of each."
        )
    return Fit(workers, threads, gpus)


def _room(machines: Sequence[tuple[int, float]], threads: int, gpus: float) -> int:
    """Number of workers that the machines hold."""
    return sum(min(cores // threads, int(given / gpus + 1e-9) if gpus else cores) for cores, given in machines)


def machines_of(ray: Any) -> list[tuple[int, float]]:
    """Cores and GPUs of each machine of a cluster."""
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [(int(known.get("CPU", 0)), float(known.get("GPU", 0))) for known in resources]
