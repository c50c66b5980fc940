"""Parse YAML, whose parser raises more than its own kind of error."""

from __future__ import annotations

from typing import Any


def parse_yaml(text: str) -> Any:
    """Parse a YAML document of plain values.

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
        raise ValueError("a value is not of the type of its tag") from error
