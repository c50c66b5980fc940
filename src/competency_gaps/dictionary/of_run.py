"""Which dictionary a finished run's concepts can be looked up in. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from competency_gaps.dictionary.folder import FILE, check_same_sae
from competency_gaps.dictionary.open import Dictionary, open_dictionary
from competency_gaps.embedded import SAES, embedded_sae
from competency_gaps.errors import UserError
from competency_gaps.runs.open import RunFolder


def dictionary_of(run: RunFolder, given: Path | None = None) -> Dictionary | None:
    """Find the dictionary that belongs to a run.

    The first of: the one that is given; the one in the run's settings (``sae.dictionary``); the folder of its SAE, if
    that is a dictionary; the one that comes with the package, for a run of the embedded SAE. All but the given one
    are passed over where they are gone, damaged, or of another SAE: folders move after a run.

    Returns
    -------
    Dictionary or None
        None: there is none.

    Raises
    ------
    UserError
        If the given folder is no dictionary, or that of another SAE.
    """
    if given is not None:
        opened = open_dictionary(given)
        check_same_sae(opened.identity, run.manifest["sae"])
        return opened
    for folder in _known(run):
        try:
            opened = open_dictionary(folder)
            check_same_sae(opened.identity, run.manifest["sae"])
        except UserError:
            continue
        return opened
    return None


def _known(run: RunFolder) -> list[Path]:
    """Folders that may be the run's dictionary, the likeliest first."""
    settings = (run.manifest.get("settings") or {}).get("sae") or {}
    named = [settings.get("dictionary"), settings.get("folder")]
    folders = [Path(name).expanduser() for name in named if name and not str(name).startswith("embedded:")]
    digest = run.manifest["sae"].get("weights_sha256")
    embedded = [embedded_sae(name) for name in SAES]
    # Only equal weights make a run one of an embedded SAE: a name is no proof where the hash is missing.
    return [
        *(folder for folder in folders if (folder / FILE).is_file()),
        *(folder for folder in embedded if digest and open_dictionary(folder).identity.sae["weights_sha256"] == digest),
    ]
