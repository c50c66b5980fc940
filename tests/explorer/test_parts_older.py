"""Runs of other versions: refused where their tables are others, shown where only their settings are."""

from __future__ import annotations

import json
import shutil

import pytest

from competency_gaps.errors import UserError
from competency_gaps.explorer.opened import open_runs
from competency_gaps.explorer.parts import Parts
from competency_gaps.explorer.parts.commands import probe
from competency_gaps.runs.manifest import SCHEMA_VERSION
from competency_gaps.runs.open import open_folder
from core_helpers import seal


def test_a_run_of_another_schema_is_refused(hostile, tmp_path):
    folder = shutil.copytree(hostile.run, tmp_path / "run")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "schema_version": manifest["schema_version"] - 1}))
    with pytest.raises(
        UserError,
        match=f"schema_version {SCHEMA_VERSION - 1}, but this version of competency-gaps reads {SCHEMA_VERSION}",
    ):
        open_runs([folder])


@pytest.mark.parametrize("redact", [False, True])
def test_settings_of_another_version_are_shown_as_they_are(hostile, tmp_path, redact):
    folder = tmp_path / "run"
    shutil.copytree(hostile.run, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["settings"]["sae"] = {**manifest["settings"].get("sae", {}), "of_another_version": 3}
    path.write_text(json.dumps(manifest))
    seal(folder)
    parts = Parts(open_folder(folder), key="old", redact=redact)
    info = json.loads(parts.read("run.json"))
    assert redact or ["sae.of_another_version", "3"] in info["settings"]
    _, says = probe(parts.context, [1], "--concept", "1")
    assert says.startswith("No new items can be generated")
