"""A dictionary folder's identity, and the files that are refused."""

from __future__ import annotations

import json

import pytest

from competency_gaps.concepts.document import write_tables
from competency_gaps.concepts.folder import (
    SCHEMA_VERSION,
    Dictionary,
    check_same_sae,
    open_dictionary,
    write_dictionary,
)
from competency_gaps.util.checked import write_document
from competency_gaps.util.errors import UserError

SAE = {"name": "release/a", "d_sae": 64, "hook_name": "blocks.1.hook_resid_post", "weights_sha256": "a" * 64}


def test_what_is_written_is_read(tmp_path):
    folder = tmp_path / "new" / "dictionary"
    write_dictionary(folder, SAE, {"name": "m"})
    write_tables(folder, {}, exemplars={"top": 20, "share": float("nan")})
    assert json.loads((folder / "dictionary.json").read_text())["schema_version"] == SCHEMA_VERSION
    assert open_dictionary(folder) == Dictionary(folder, SAE, {"name": "m"}, {"top": 20, "share": None})


def test_writing_without_model_and_exemplars_keeps_both(tmp_path):
    write_dictionary(tmp_path, SAE, {"name": "m"})
    write_tables(tmp_path, {}, exemplars={"top": 20})
    write_dictionary(tmp_path, {**SAE, "name": "moved"})
    assert open_dictionary(tmp_path) == Dictionary(tmp_path, {**SAE, "name": "moved"}, {"name": "m"}, {"top": 20})


def test_another_saes_dictionary_is_not_overwritten(tmp_path):
    write_dictionary(tmp_path, SAE)
    with pytest.raises(UserError, match=r"release/a.*release/b"):
        write_dictionary(tmp_path, {**SAE, "name": "release/b", "weights_sha256": "b" * 64})
    assert open_dictionary(tmp_path).sae == SAE


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"name": "a/moved/folder"}, True),
        ({"settings_sha256": "other"}, True),
        ({"weights_sha256": "b" * 64}, False),
        ({"weights_sha256": None}, True),
        ({"weights_sha256": None, "name": "release/b"}, False),
        ({"weights_sha256": None, "d_sae": 65}, False),
        ({"d_sae": 65}, False),
    ],
)
def test_weights_decide_and_names_only_without_them(change, same):
    for known, given in ((SAE, {**SAE, **change}), ({**SAE, **change}, SAE)):
        if same:
            check_same_sae(known, given)
        else:
            with pytest.raises(UserError) as error:
                check_same_sae(known, given)
            assert str(known["name"]) in str(error.value) and str(given["name"]) in str(error.value)
            assert str(known["d_sae"]) in str(error.value) and str(given["d_sae"]) in str(error.value)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"schema_version": 99, "sae": {}}', "schema_version 99"),
        ('{"schema_version": 2, "sae": {"name"', "damaged"),
        ("[" * 100_000, "damaged"),
        ({"sae": []}, "damaged: it does not name its SAE"),
        ({"sae": {"d_sae": 2**40}}, "damaged: it does not name its SAE"),
    ],
)
def test_damaged_and_newer_files_are_refused(tmp_path, content, named):
    if isinstance(content, dict):
        write_document(tmp_path / "dictionary.json", {"schema_version": SCHEMA_VERSION, **content})
    else:
        (tmp_path / "dictionary.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=named):
        open_dictionary(tmp_path)
