"""Which dictionary a finished run is looked up in: named, configured, the SAE's own, the embedded one, or none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from competency_gaps.concepts.folder import dictionary_of, open_dictionary, write_dictionary
from competency_gaps.embedded import SAES, embedded_sae
from competency_gaps.runs.open import RunFolder

SAE = {"name": "release/a", "d_sae": 64, "hook_name": "blocks.1.hook_resid_post", "weights_sha256": "a" * 64}
OTHER = {**SAE, "weights_sha256": "b" * 64}
PACK = embedded_sae(next(iter(SAES)))


def finished(sae=SAE, **settings) -> RunFolder:
    """A run of this SAE, with these settings of ``sae``."""
    return RunFolder(
        Path("nowhere"), {"sae": sae, "settings": {"sae": {"dictionary": None, "folder": None, **settings}}}
    )


@pytest.fixture
def folder(tmp_path):
    """Makes a dictionary's folder; returned as the text that a configuration keeps."""

    def make(name: str, sae=SAE) -> str:
        write_dictionary(tmp_path / name, sae)
        return str(tmp_path / name)

    return make


def test_what_was_named_last_precedes_the_configured_one_and_the_saes_own(folder):
    named, set_, own = folder("named"), folder("set"), folder("own")
    run = finished(dictionary=set_, folder=own)
    run.manifest["dictionary"] = {"folder": named}
    for place in (named, set_, own):
        assert dictionary_of(run).folder == Path(place)
        shutil.rmtree(place)  # what is gone is passed over
    assert dictionary_of(run) is None


def test_another_saes_and_a_damaged_one_are_passed_over(folder, tmp_path):
    wrong = folder("wrong", OTHER)
    run = finished(dictionary=wrong, folder=wrong)
    assert dictionary_of(run) is None
    (tmp_path / "wrong" / "dictionary.json").write_text("{")
    assert dictionary_of(run) is None


def test_the_embedded_dictionary_belongs_to_equal_weights_only(folder):
    sae = open_dictionary(PACK).sae
    assert dictionary_of(finished(sae, folder=sae["name"])).folder == PACK
    assert dictionary_of(finished({**sae, "name": "a/copy"}, folder="a/copy")).folder == PACK
    for digest in (None, "c" * 64):
        assert dictionary_of(finished({**sae, "weights_sha256": digest}, folder=sae["name"])) is None
    mine = folder("mine", sae)
    assert dictionary_of(finished(sae, dictionary=mine)).folder == Path(mine)
