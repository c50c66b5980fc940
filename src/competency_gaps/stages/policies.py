"""Scoring policies by name, and the policy of each item of a benchmark."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from competency_gaps.errors import UserError, nearest
from competency_gaps.items.item import Benchmark
from competency_gaps.items.policy import Policy
from competency_gaps.registry import POLICIES


def assign_policies(
    benchmark: Benchmark, policy: str | None, options: Mapping[str, Any], otherwise: str | None = None
) -> list[Policy]:
    """Return the policy of each item, checked against the item.

    Parameters
    ----------
    policy
        The policy of all items; None: the policy that each item names.
    options
        Options of the policy. If items name several policies, each takes the options that it has.
    otherwise
        The policy of items that name none; None: they are an error.

    Raises
    ------
    UserError
        If an item names no policy, a policy or an option is unknown, or a policy cannot score an item.
    """
    names = []
    for item in benchmark.items:
        name = policy or item.policy or otherwise
        if name is None:
            raise UserError(
                f"benchmark {benchmark.name!r}, item {item.id!r} names no scoring policy: set 'policy' in the "
                f"benchmark's configuration to one of {', '.join(POLICIES)}."
            )
        names.append(name)
    made = _make_policies(sorted(set(names)), options, benchmark.name)
    for name, item in zip(names, benchmark.items, strict=True):
        fault = made[name].check(item)
        if fault:
            raise UserError(f"benchmark {benchmark.name!r}, item {item.id!r}, policy {name!r}: {fault}.")
    return [made[name] for name in names]


def _make_policies(names: Sequence[str], options: Mapping[str, Any], benchmark: str) -> dict[str, Policy]:
    if len(names) == 1:
        return {names[0]: make_policy(names[0], options)}
    own = {name: options.keys() & _options_of(_policy_class(name)) for name in names}
    for option in options:
        if not any(option in taken for taken in own.values()):
            raise UserError(
                f"benchmark {benchmark!r}: no policy of its items ({', '.join(names)}) has an option {option!r}."
            )
    return {name: make_policy(name, {option: options[option] for option in taken}) for name, taken in own.items()}


def make_policy(name: str, options: Mapping[str, Any] | None = None) -> Policy:
    """A scoring policy with its options.

    Raises
    ------
    UserError
        If the name or an option is unknown (with the nearest known one), or a value is of the wrong kind.
    """
    kind = _policy_class(name)
    known = _options_of(kind)
    for option in options or {}:
        if option not in known:
            raise UserError(
                f"the policy {name!r} has no option {option!r}; "
                f"it has {', '.join(known) or 'none'}.{nearest(option, known)}"
            )
    try:
        policy: Policy = TypeAdapter(kind).validate_python(dict(options or {}))
    except ValidationError as error:
        first = error.errors()[0]
        what = (
            f"the option {'.'.join(map(str, first['loc']))!r} = {first['input']!r}" if first["loc"] else "its options"
        )
        raise UserError(f"the policy {name!r} refuses {what}: {first['msg'].removeprefix('Value error, ')}.") from error
    except PydanticUserError as error:
        raise UserError(f"the types of the policy {name!r}'s options cannot be read: {error}") from error
    return policy


def _policy_class(name: str) -> Any:
    if name not in POLICIES:
        raise UserError(f"policy {name!r} is unknown; known are {', '.join(POLICIES)}.{nearest(name, POLICIES)}")
    kind = POLICIES[name]
    check_policy(name, kind)
    return kind


def _options_of(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def check_policy(name: str, kind: Any) -> None:
    """Raise UserError if the value registered under a name is not a policy of that name."""
    if not (isinstance(kind, type) and issubclass(kind, Policy) and dataclasses.is_dataclass(kind)):
        raise UserError(
            f"the policy {name!r} is not a frozen dataclass that extends competency_gaps.Policy (the decorator that "
            "registers it stands above @dataclass)."
        )
    if getattr(kind, "name", None) != name:
        raise UserError(
            f"the policy registered as {name!r} has the name {getattr(kind, 'name', None)!r}: use one name in both "
            "places."
        )
