"""The base class of all configuration."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of all configuration: unknown keys are errors, fields do not change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def as_dict(config: BaseModel) -> dict[str, Any]:
    """The configuration as plain JSON values."""
    return config.model_dump(mode="json")
