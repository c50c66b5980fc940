"""Workers on one or many machines."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from competency_gaps.config.base import Config


class RayWorkers(Config):
    """Workers of Ray that read a run's shards; they change nothing but the time that it takes."""

    address: str | None = None
    """Of a cluster that runs, such as ``auto`` or ``ray://HOST:10001``; None: one is started on this machine alone."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Each holds the model and the SAE; None: one for each share of GPUs, or one per machine where there are none."""
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    """None: one where the cluster has GPUs, else none."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Of each worker; None: the machine's cores are divided among its workers."""
