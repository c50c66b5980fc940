"""The dictionary folder's ``dictionary.json``: which SAE, which model and which exemplars its tables are about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from competency_gaps.errors import UserError
from competency_gaps.files import finite, write_json
from competency_gaps.text import shorten, visible

SCHEMA_VERSION = 1
FILE = "dictionary.json"


@dataclass(frozen=True)
class DictionaryIdentity:
    """What a dictionary folder says it belongs to."""

    sae: dict[str, Any]
    """The SAE's identity, as ``SparseAutoencoder.identity``: name, d_sae, hook_name, weights_sha256, and so on."""
    model: dict[str, Any] | None
    """The model's identity; None if no model was used (imported labels only)."""
    exemplars: dict[str, Any] | None
    """Settings of the exemplars; None without any."""


def read_dictionary(path: Path) -> DictionaryIdentity:
    """Read a dictionary folder's identity.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    UserError
        If the folder is no dictionary, its file is damaged, or its schema version is unknown.
    """
    file = path / FILE
    if not file.is_file():
        kind = f"holds no {FILE}" if path.is_dir() else "does not exist"
        raise UserError(f"the dictionary {str(path)!r} {kind}. Expected a folder made by 'cgaps exemplars' or 'label'.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{file} is damaged: {shorten(visible(str(error)), 200)}. Make the dictionary again."
        ) from error
    if version != SCHEMA_VERSION:
        shown = shorten(visible(repr(version)), 40)
        raise UserError(
            f"{file} has schema_version {shown}, but this version of competency-gaps reads {SCHEMA_VERSION}. "
            f"Open it with the version that wrote it."
        )
    sae, model, exemplars = content.get("sae"), content.get("model"), content.get("exemplars")
    if not isinstance(sae, dict) or not all(part is None or isinstance(part, dict) for part in (model, exemplars)):
        raise UserError(
            f"{file} is damaged: expected an object under 'sae', and an object or null under 'model' and 'exemplars'. "
            f"Make the dictionary again."
        )
    return DictionaryIdentity(sae, model, exemplars)


def write_dictionary(
    path: Path,
    sae_identity: dict[str, Any],
    model_identity: dict[str, Any] | None = None,
    exemplars: dict[str, Any] | None = None,
) -> None:
    """Write a dictionary folder's identity; the folder is made where it is missing.

    Where the folder is a dictionary already, ``None`` keeps what it says of the model or the exemplars, so that a
    step which knows of neither loses nothing.

    Raises
    ------
    UserError
        If the folder is the dictionary of another SAE, or its file cannot be read.
    """
    if (path / FILE).is_file():
        known = read_dictionary(path)
        check_same_sae(known, sae_identity)
        model_identity = known.model if model_identity is None else model_identity
        exemplars = known.exemplars if exemplars is None else exemplars
    content = {"sae": sae_identity, "model": model_identity, "exemplars": exemplars}
    write_json(path / FILE, {"schema_version": SCHEMA_VERSION, **finite(content)})


def check_same_sae(dictionary: DictionaryIdentity, sae_identity: dict[str, Any]) -> None:
    """Check that a dictionary is about this SAE.

    The hash of the weights decides; where one side has none, names and widths must agree. [ours] The same weights
    under another name (a folder that was moved) are the same SAE, and settings that change only the arithmetic of
    ``encode`` do not change what a concept's decoder direction is.

    Raises
    ------
    UserError
        If it is about another SAE; the message names both.
    """
    known, given = dictionary.sae, sae_identity
    if known.get("weights_sha256") and given.get("weights_sha256"):
        same = known["weights_sha256"] == given["weights_sha256"] and known.get("d_sae") == given.get("d_sae")
    else:
        same = all(known.get(key) == given.get(key) for key in ("name", "d_sae"))
    if not same:
        raise UserError(
            f"the dictionary belongs to another SAE: it is about {_described(known)}, but this SAE is "
            f"{_described(given)}. Give the dictionary of this SAE, or another folder for a new one."
        )


def _described(sae: dict[str, Any]) -> str:
    digest = sae.get("weights_sha256")
    parts = [repr(shorten(visible(str(sae.get("name"))), 200)), f"of {visible(str(sae.get('d_sae')))[:20]} concepts"]
    return " ".join(parts) + (f" (weights {visible(str(digest))[:12]})" if digest else " (weights unknown)")
