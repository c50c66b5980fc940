"""Which dictionary a finished run is looked up in: given, configured, the SAE's own, the embedded one, or none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from competency_gaps.dictionary.folder import dictionary_of, read_dictionary, write_dictionary
from competency_gaps.embedded import SAES, embedded_sae
from competency_gaps.errors import UserError
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


def test_given_dictionaries_precede_configured_ones_and_the_saes_own(folder):
    given, set_, own = folder("given"), folder("set"), folder("own")
    run = finished(dictionary=set_, folder=own)
    assert dictionary_of(run, Path(given)).folder == Path(given)
    assert dictionary_of(run).folder == Path(set_)
    shutil.rmtree(set_)
    assert dictionary_of(run).folder == Path(own), "what is gone is passed over"
    shutil.rmtree(own)
    assert dictionary_of(run) is None


def test_only_a_given_dictionary_is_refused(folder, tmp_path):
    wrong = folder("wrong", OTHER)
    run = finished(dictionary=wrong, folder=wrong)
    assert dictionary_of(run) is None
    with pytest.raises(UserError, match="belongs to another SAE"):
        dictionary_of(run, Path(wrong))
    with pytest.raises(UserError, match="does not exist"):
        dictionary_of(run, tmp_path / "none")
    (tmp_path / "wrong" / "dictionary.json").write_text("{")
    assert dictionary_of(run) is None
    with pytest.raises(UserError, match="damaged"):
        dictionary_of(run, Path(wrong))


def test_the_embedded_dictionary_belongs_to_equal_weights_only(folder):
    sae = read_dictionary(PACK).sae
    assert dictionary_of(finished(sae, folder=sae["name"])).folder == PACK
    assert dictionary_of(finished({**sae, "name": "a/copy"}, folder="a/copy")).folder == PACK
    for digest in (None, "c" * 64):
        assert dictionary_of(finished({**sae, "weights_sha256": digest}, folder=sae["name"])) is None
    mine = folder("mine", sae)
    assert dictionary_of(finished(sae, dictionary=mine)).folder == Path(mine)
