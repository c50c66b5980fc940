"""Assign a scoring policy to each item of a benchmark."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from competency_gaps.errors import UserError
from competency_gaps.items.benchmark import Benchmark
from competency_gaps.items.policy import Policy
from competency_gaps.registry import POLICIES
from competency_gaps.stages.policies import make_policy


def assign_policies(benchmark: Benchmark, policy: str | None, options: Mapping[str, Any]) -> list[Policy]:
    """Give each item's policy, checked against the item.

    Parameters
    ----------
    policy
        The policy of all items; None: the policy that each item names.
    options
        Options of the policy. If items name several policies, each takes the options that it has.

    Raises
    ------
    UserError
        If an item names no policy, a policy or an option is unknown, or a policy cannot score an item.
    """
    if benchmark.scorer is not None:
        if policy is not None or options:
            raise UserError(
                f"benchmark {benchmark.name!r} is a task that scores its items itself: leave out 'policy' "
                "and 'options'."
            )
        return [benchmark.scorer] * len(benchmark.items)
    names = [policy or item.policy for item in benchmark.items]
    for name, item in zip(names, benchmark.items, strict=True):
        if name is None:
            raise UserError(
                f"benchmark {benchmark.name!r}, item {item.id!r} names no scoring policy: set 'policy' in the "
                f"benchmark's configuration to one of {', '.join(POLICIES)}."
            )
    wanted = sorted({name for name in names if name is not None})
    known = {name: _options_of(name) for name in wanted}
    for option in options:
        if len(wanted) > 1 and not any(option in own for own in known.values()):
            raise UserError(
                f"benchmark {benchmark.name!r}: no policy of its items ({', '.join(wanted)}) has an option {option!r}."
            )
    shared = len(wanted) > 1
    made = {
        name: make_policy(name, {k: v for k, v in options.items() if not shared or k in known[name]}) for name in wanted
    }
    policies = [made[name] for name in names if name is not None]
    for chosen, item in zip(policies, benchmark.items, strict=True):
        fault = chosen.check(item)
        if fault:
            raise UserError(f"benchmark {benchmark.name!r}, item {item.id!r}, policy {chosen.name!r}: {fault}.")
    return policies


def _options_of(name: str) -> set[str]:
    kind: Any = POLICIES.get(name)
    return {field.name for field in dataclasses.fields(kind)} if kind is not None else set()
