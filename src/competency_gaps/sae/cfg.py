"""The settings of an SAE's folder, as SAELens writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from competency_gaps.errors import UserError
from competency_gaps.text import shorten

WIDEST = 2**31 - 1
"""Most latents, and widest activations."""
FLAGS = ("apply_b_dec_to_input", "rescale_acts_by_decoder_norm")
"""Settings that are true or false, where they are given."""
WORDS = ("architecture", "dtype", "device", "normalize_activations", "reshape_activations")
"""Settings that are words, where they are given."""


def read_cfg(folder: Path, name: str) -> dict[str, Any]:
    """The content of ``cfg.json``, after a check that the weights exist and are complete."""
    from safetensors import safe_open

    for file in ("cfg.json", "sae_weights.safetensors"):
        if not (folder / file).is_file():
            raise UserError(
                f"SAE {name!r}: {folder / file} is missing. Expected a folder saved by SAELens, "
                f"with cfg.json and sae_weights.safetensors."
            )
    content: dict[str, Any] = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
    # Opening reads the table of the tensors and compares it with the file's length.
    with safe_open(folder / "sae_weights.safetensors", framework="numpy"):
        _check_kinds(content, name)
        _check_numbers(content, name)
        return content


def _check_kinds(content: Mapping[str, Any], name: str) -> None:
    """Raise UserError where a setting that is given is no truth value, or no word."""
    for keys, kind, expected in ((FLAGS, bool, "true or false"), (WORDS, str, "a word")):
        for key in keys:
            if not isinstance(content.get(key, kind()), kind):
                value = shorten(repr(content[key]), 60)
                raise UserError(f"SAE {name!r}: cfg.json gives {key} = {value}. Expected {expected}.")


def _check_numbers(content: Mapping[str, Any], name: str) -> None:
    """Raise UserError where sizes, or the number of latents that are kept on a token, are none."""
    for key in ("d_in", "d_sae", "k"):
        # SAELens takes 100 where topk's number is not given.
        missing = 100 if key == "k" and content["architecture"] == "topk" else 1
        value, most = content.get(key, missing), content["d_sae"] if key == "k" else WIDEST
        # Of other architectures than topk, k is a mean.
        kinds = (int, float) if key == "k" and content["architecture"] != "topk" else (int,)
        if not isinstance(value, kinds) or isinstance(value, bool) or not 0 < value <= most:
            raise UserError(
                f"SAE {name!r}: cfg.json gives {key} = {shorten(repr(value), 60)}. Expected a number above 0, whole "
                f"and of at most {most:,}."
            )
