"""Scoring policies by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from competency_gaps.errors import UserError, nearest
from competency_gaps.items.policy import Policy
from competency_gaps.registry import POLICIES


def make_policy(name: str, options: Mapping[str, Any] | None = None) -> Policy:
    """A scoring policy with its options.

    Raises
    ------
    UserError
        If the name or an option is unknown (with the nearest known one), or a value is of the wrong kind.
    """
    if name not in POLICIES:
        raise UserError(f"policy {name!r} is unknown; known are {', '.join(POLICIES)}.{nearest(name, POLICIES)}")
    kind: Any = POLICIES[name]
    check_policy(name, kind)
    known = [field.name for field in dataclasses.fields(kind)]
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
        raise UserError(
            f"the policy {name!r} refuses the option {'.'.join(map(str, first['loc']))!r} = {first['input']!r}: "
            f"{first['msg']}."
        ) from error
    except PydanticUserError as error:
        raise UserError(f"the types of the policy {name!r}'s options cannot be read: {error}") from error
    return policy


def check_policy(name: str, kind: Any) -> None:
    """Raise UserError if what is registered under a name is no policy of that name."""
    if not (isinstance(kind, type) and issubclass(kind, Policy) and dataclasses.is_dataclass(kind)):
        raise UserError(
            f"the policy {name!r} is no frozen dataclass that extends competency_gaps.Policy (the decorator that "
            "registers it stands above @dataclass)."
        )
    if getattr(kind, "name", None) != name:
        raise UserError(
            f"the policy registered as {name!r} has the name {getattr(kind, 'name', None)!r}: give one name."
        )
