"""The base of all configurations, reading them from YAML with overrides; errors say what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from competency_gaps.util.errors import UserError, nearest

C = TypeVar("C", bound=BaseModel)
Switch = Annotated[
    Literal["auto", "on", "off"],
    BeforeValidator(lambda value: ("off", "on")[value] if isinstance(value, bool) else value),
]
"""``auto``, ``on`` or ``off``; also a boolean, because YAML reads a plain ``on`` or ``off`` as one."""


class Config(BaseModel):
    """Base of all configuration: unknown keys are errors, fields do not change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), defer_build=True)


def as_dict(config: BaseModel) -> dict[str, Any]:
    """Return the configuration as plain JSON values."""
    return config.model_dump(mode="json")


def parse_yaml(text: str) -> Any:
    """Return the plain values of a YAML document.

    Raises
    ------
    ValueError
        If it is not valid: also a date or number that does not exist, and a value that is not of the type of its tag.
    """
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error
    except (LookupError, AttributeError) as error:  # PyYAML's own faults on a scalar such as "!!bool x"
        raise ValueError("a value does not have the type of its tag") from error


def read_yaml(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return a YAML file's mapping after ``a.b=value`` overrides, whose values are YAML too.

    Raises
    ------
    UserError
        If there is no such file, it is not a YAML mapping, or an override has no ``=``.
    """
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(f"configuration {str(path)!r}: there is no such file.") from error
    except ValueError as error:
        raise UserError(f"configuration {str(path)!r} is not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"configuration {str(path)!r}: expected a mapping of keys, found {type(data).__name__}.")
    apply_overrides(data, overrides)
    return data


def apply_overrides(data: dict[str, Any], overrides: Sequence[str]) -> None:
    """Change a mapping in place by ``a.b=value`` overrides; numbers reach into lists (``benchmarks.0.limit=50``).

    Raises
    ------
    UserError
        If an override has no ``=``, its value is not YAML, or its key leads nowhere.
    """
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise UserError(f"override {override!r}: expected KEY=VALUE, for example span=prompt.")
        *parents, last = path.split(".")
        node: Any = data
        for key in parents:
            node = _child(node, key, override)
        try:
            value = parse_yaml(text)
        except ValueError as error:
            raise UserError(f"override {override!r}: the value is not valid YAML: {error}") from error
        node[_index(node, last, override) if isinstance(node, list) else last] = value


def parse_config(kind: type[C], data: Mapping[str, Any], where: str) -> C:
    """Return a mapping as a checked configuration of type ``kind``.

    Parameters
    ----------
    where
        Names the source in messages, e.g. the file.

    Raises
    ------
    UserError
        With one line per fault: the key, what was expected, what was found, the nearest known key.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        lines = [_fault(kind, fault) for fault in error.errors()]
        raise UserError(f"{where}:\n  " + "\n  ".join(lines)) from error


def _child(node: Any, key: str, override: str) -> Any:
    """Return the value of a key, a new mapping if it is unset; UserError if it is a plain value."""
    if isinstance(node, list):
        return node[_index(node, key, override)]
    if node.get(key) is None:
        node[key] = {}
    if not isinstance(node[key], (dict, list)):
        raise UserError(f"override {override!r}: {key!r} is a plain value, so nothing can be set inside it.")
    return node[key]


def _index(node: list[Any], key: str, override: str) -> int:
    """Return a key of an override as an index of a list; UserError if it is not one."""
    if not key.isdigit() or int(key) >= len(node):
        raise UserError(f"override {override!r}: expected a number from 0 to {len(node) - 1}, found {key!r}.")
    return int(key)


KINDS = ("file", "hub", "log", "objects", "reasoning_gym")
"""Built-in kinds of sources. In a fault's location they, and ``plugin``, stand where no key is."""


def _fault(kind: type[BaseModel], fault: Any) -> str:
    """Return pydantic's description of one fault as a line for people."""
    location = list(fault["loc"])
    keys = (str(part) for part in location if part not in (*KINDS, "plugin"))
    where = ".".join(keys) if location else "configuration"
    if fault["type"] == "extra_forbidden":
        known = _known_keys(kind, location[:-1])
        hint = nearest(str(location[-1]), known) or (f" Known: {', '.join(sorted(known))}." if known else "")
        return f"{where}: there is no such key.{hint}"
    if fault["type"] == "missing":
        return f"{where}: is required."
    received = "" if isinstance(fault.get("input"), (dict, list)) else f", found {fault.get('input')!r}"
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}{received}"


def _known_keys(kind: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """Return the keys that a model allows at a location, by walking the annotations."""
    models: list[type[BaseModel]] = [kind]
    for part in location:
        if isinstance(part, int):
            continue
        below = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        tagged = [m for m in models if str(part) in {str(f.default) for n, f in m.model_fields.items() if n == "kind"}]
        models = tagged or [model for annotation in below for model in _models_in(annotation)]
    return sorted({key for model in models for key in model.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the configuration models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in getattr(annotation, "__args__", ()) for model in _models_in(arg)]
