"""Read shards by workers of Ray, on one or many machines that share the run folder or a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from competency_gaps.checked import write_document
from competency_gaps.config import RayWorkers, as_dict
from competency_gaps.errors import MachineError
from competency_gaps.stages.ray_cluster import cluster, fit, machines_of
from competency_gaps.stages.ray_pool import Pool
from competency_gaps.stages.ray_worker import SETTINGS
from competency_gaps.stages.reading import Work
from competency_gaps.stages.setting import Setting
from competency_gaps.text import plural, shorten


@contextmanager
def ray_engine(settings: RayWorkers) -> Iterator[ReadOnRay]:
    """The engine, on a cluster that lasts as long as the body and has room for the workers.

    Raises
    ------
    MissingExtraError, UserError, MachineError
        As :func:`cluster` and :func:`fit`; before a model is loaded.
    """
    with cluster(settings) as ray:
        fit(settings, machines_of(ray))
        yield ReadOnRay(settings, ray)


@dataclass(frozen=True)
class ReadOnRay:
    """The engine."""

    settings: RayWorkers
    ray: Any

    def __call__(self, work: Work) -> None:
        """Read what is missing.

        Raises
        ------
        UserError, MachineError
            As :meth:`Pool.read`; also if the cluster ends.
        """
        if not work.missing:
            return
        lost = (self.ray.exceptions.RayError, ConnectionError)
        write_document(work.folder / SETTINGS, as_dict(work.setting.config))
        try:
            pool = Pool(self.ray, work, fit(self.settings, machines_of(self.ray)))
            work.by = plural(pool.fit.workers, "worker")
            _release(work.setting)
            try:
                pool.read()
            finally:
                with suppress(*lost):
                    pool.stop()
        except (self.ray.exceptions.ObjectStoreFullError, self.ray.exceptions.OutOfDiskError) as error:
            raise MachineError(
                "the object store of the Ray cluster is full, and so is the disk to which it moves objects: there is "
                f"no room for the configuration, which holds all items that it gives as objects "
                f"({shorten(' '.join(str(error).split()), 300)}). End what fills it ('ray memory' lists it), start the "
                "cluster with a larger --object-store-memory, or write the items into files and name the files. What "
                "is finished is kept: run the same command again then."
            ) from error
        except lost as error:
            raise MachineError(
                f"the Ray cluster does not answer any more: {shorten(' '.join(str(error).split()), 300)}. What is "
                "finished is kept: run the same command again when the cluster is back."
            ) from error
        finally:
            (work.folder / SETTINGS).unlink(missing_ok=True)
            work.reader.files.sweep()


def _release(setting: Setting) -> None:
    """Free the driver's weights, which are not needed any more: a worker beside it loads its own."""
    import torch

    modules: tuple[Any, ...] = (setting.lm.model, setting.sae.sae)
    for module in modules:
        for parameter in module.parameters():
            parameter.data = parameter.data.new_empty(0)
    # Else this process keeps the memory of its GPU for itself.
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
