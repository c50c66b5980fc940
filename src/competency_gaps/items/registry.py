"""The sources, scorers, log formats and slices that a configuration may name: built in, from plug-ins, registered."""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from typing import Any, TypeVar

from competency_gaps.util.errors import UserError

T = TypeVar("T")


def _code(value: Any) -> str:
    """Return the source of a class or function, or its compiled code if the source is not available."""
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        functions = vars(value).values() if isinstance(value, type) else [value]
        codes = [function.__code__ for function in functions if hasattr(function, "__code__")]
        return repr([(code.co_code, code.co_consts, code.co_names) for code in codes])


class Registry(Mapping[str, Any]):
    """A mapping from names to objects, each imported when it is looked up.

    Parameters
    ----------
    kind
        ``scorers``, ``sources``, ``logs`` or ``slices``: plug-ins add more under the entry point group
        ``competency_gaps.KIND``.
    ours
        ``module:attribute`` inside this package, by name.
    reserved
        Further names that cannot be registered.
    """

    def __init__(self, kind: str, ours: Mapping[str, str], reserved: Collection[str] = ()) -> None:
        self.kind = kind
        self._ours = dict(ours)
        self._taken = {*ours, *reserved}
        self._registered: dict[str, Any] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that gives a class or function a name, for this process.

        Raises
        ------
        UserError
            If the name is built in or taken by a plug-in.
        """

        def decorate(value: T) -> T:
            if name in self._taken or name in self.plugins:
                raise UserError(f"{name!r} is taken among the {self.kind}: choose another name.")
            self._registered[name] = value
            return value

        return decorate

    def forget(self, name: str) -> None:
        """Remove a registered name."""
        self._registered.pop(name, None)

    @cached_property
    def plugins(self) -> dict[str, importlib.metadata.EntryPoint]:
        """Entry points of installed packages by name; names that are built in are left out."""
        points = importlib.metadata.entry_points(group=f"competency_gaps.{self.kind}")
        return {point.name: point for point in points if point.name not in self._taken}

    def __getitem__(self, name: str) -> Any:
        if name in self._registered:
            return self._registered[name]
        if name in self._ours:
            module, _, attribute = self._ours[name].partition(":")
            return getattr(import_module(f"competency_gaps.{module}"), attribute)
        plugin = self.plugins[name]
        try:
            return plugin.load()
        except (Exception, SystemExit) as error:  # whatever a plug-in's package does on import
            raise UserError(
                f"{name!r} of the package {plugin.dist.name if plugin.dist else plugin.value!r} cannot be loaded: "
                f"{type(error).__name__}: {error}."
            ) from error

    def version(self, name: str) -> str | None:
        """Return the version of what a plug-in or program added under a name; None if the name is built in.

        It is the package and its version or, if this program registered the name, a hash of its code.
        """
        if name in self._registered:
            return sha256(_code(self._registered[name]).encode()).hexdigest()
        plugin = self.plugins.get(name)
        return f"{plugin.dist.name} {plugin.dist.version}" if plugin is not None and plugin.dist else None

    def __iter__(self) -> Iterator[str]:
        yield from {**self._ours, **self.plugins, **self._registered}

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._registered or name in self._ours or name in self.plugins


SOURCES = Registry(
    "sources",
    {
        "file": "items.files:read_files",
        "hub": "items.files:read_hub",
        "log": "logs.find:read_log",
        "objects": "items.files:read_objects",
        "reasoning_gym": "items.reasoning_gym:read_reasoning_gym",
    },
)
"""Readers by the kind of source. A reader is a function of the source's configuration that yields records, items,
left-out records, and a report of another tool's log."""

SCORERS = Registry(
    "scorers",
    {
        "arena": "scoring.arena:Arena",
        "choice": "scoring.choice:Choice",
        "contains": "scoring.text:Contains",
        "exact": "scoring.text:Exact",
        "imported": "scoring.text:Imported",
        "judge": "scoring.judge:Judge",
        "math": "scoring.numeric:Math",
        "numeric": "scoring.numeric:Numeric",
        "pair": "scoring.choice:Pair",
        "regex": "scoring.text:Regex",
        "none": "scoring.text:Unscored",
        "verifier": "scoring.verifier:Verifier",
    },
)
"""Classes by the name in configurations; each is a frozen dataclass whose fields are the options."""

LOGS = Registry(
    "logs",
    {
        "lm_eval": "logs.lm_eval:LOG",
        "inspect": "logs.inspect:LOG",
        "garak": "logs.garak:LOG",
        "arena_hard": "logs.arena_hard:LOG",
        "every_eval_ever": "logs.every_eval_ever:LOG",
        "autodetect": "logs.autodetect:LOG",
        **{name: f"logs.records:{name.upper()}" for name in ("mmlu_pro", "zeroeval", "ifeval", "alpaca_eval")},
        "table": "logs.table:LOG",
    },
)
"""Readers of logs by format, in the order in which a path is searched."""

SLICES = Registry(
    "slices",
    {
        name: f"slices.make:{name}"
        for name in ("columns", "features", "lists", "regions", "profiles", "clusters", "skills")
    },
    reserved=("concepts",),
)
"""What makes a family's slices, by family; a plug-in's is a function of the run that returns weights by slice name."""
