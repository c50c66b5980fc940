"""Every key of a manifest that the code takes for granted is one that the manifest's form guarantees."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from pathlib import Path

import pytest
from explorer_extras import with_extras
from explorer_runs import NAMES

import competency_gaps as cg
from competency_gaps.cli.app import main
from competency_gaps.dictionary.exemplars.texts import run_identity, run_pieces
from competency_gaps.explorer.opened import open_runs
from competency_gaps.findings import findings_of
from competency_gaps.matching.examples import examples_config, examples_folder
from competency_gaps.matching.taxonomy import read_taxonomy
from competency_gaps.robustness.data import run_data
from competency_gaps.runs import open as runs_open
from competency_gaps.runs.manifest_form import check_form
from competency_gaps.runs.settings import evidence_config, run_config
from competency_gaps.stages.themes import run_theme_tables

GUARDED = ("outcome", "files")
"""Whether there is one, and what is in ``files``, is looked for first."""


class Recorded(dict):
    """A manifest, or a part of it, that notes the keys that are taken for granted."""

    def __init__(self, content, seen, place=()):
        super().__init__(content)
        self.seen, self.place = seen, place

    def __getitem__(self, key):
        self.seen.add((*self.place, key))
        return self._part(key, super().__getitem__(key))

    def get(self, key, default=None):
        return self._part(key, super().get(key)) if key in self else default

    def items(self):
        return [(key, self._part(key, value)) for key, value in super().items()]

    def values(self):
        return [value for _, value in self.items()]

    def _part(self, key, value):
        if isinstance(value, dict):
            return Recorded(value, self.seen, (*self.place, key))
        if isinstance(value, list):
            return [
                Recorded(entry, self.seen, (*self.place, key, place)) if isinstance(entry, dict) else entry
                for place, entry in enumerate(value)
            ]
        return value


def without(manifest, place):
    """The manifest without a key."""
    held = copy.deepcopy(manifest)
    *path, last = place
    part = held
    for key in path:
        part = part[key]
    del part[last]
    return held


def read_all(folder, out):
    """Ask for all that can be had of a run without its model."""
    run = cg.open_run(folder)
    for read in (run_config, evidence_config, run_data, findings_of, run_identity):
        read(run)
    repr(run), run.models.write_json(), list(run_pieces(run))
    if run.themes is not None:
        run_theme_tables(run, run.themes)
    for entry in NAMES:
        run.cas(entry)
    run.concept_items(1), run.token_activations(1, [0]), run.by_concept.columns(0, 2), run.report(out / "r.html")
    listed = out / "list.jsonl"
    listed.write_text('{"id": "a", "description": "sums", "domain": "x", "examples": ["1 + 1?", "2 + 2?"]}\n')
    entries = read_taxonomy(listed).entries
    examples_config(run, entries, examples_folder(listed, run, entries))
    shown = open_runs([folder])[0]
    parts = shown.now().parts
    for name in parts.names():
        if "/" not in name or name.split("/")[1].startswith("0."):
            parts.read(name)
    for query, arguments in (("overview", {}), ("concept", {"concept": 1}), ("top_concepts", {"order": "weakest"})):
        shown.ask(query, arguments)


def test_whatever_is_taken_for_granted_is_guaranteed(hostile, modelled, tmp_path, monkeypatch, capsys):
    made, outcome = with_extras(hostile, tmp_path), min((modelled.run / "outcomes").iterdir())
    seen: dict[Path, set[tuple]] = defaultdict(set)
    real = runs_open.read_whole_manifest
    monkeypatch.setattr(
        runs_open, "read_whole_manifest", lambda folder: Recorded(real(folder), seen[Path(folder).resolve()])
    )
    read_all(made.run, tmp_path)
    for command, *rest in (["show"], ["show", "--json"], ["show", "--summary"], ["findings"], ["concept", "1"]):
        monkeypatch.setattr("sys.argv", ["cgaps", command, str(made.run), *rest])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0, capsys.readouterr().err
    opened = cg.open_run(outcome)
    opened.report(tmp_path / "o.html")
    assert opened.concepts.height and opened.outcomes.size and opened.limits
    capsys.readouterr()
    assert {made.run.resolve(), outcome.resolve()} <= seen.keys()
    for folder, places in seen.items():
        manifest = json.loads((folder / "manifest.json").read_text())
        check_form(manifest)
        assert places
        for place in sorted(places, key=str):
            if place == GUARDED[:1] or place[0] == GUARDED[1]:
                continue
            with pytest.raises(ValueError):
                check_form(without(manifest, place))
                raise AssertionError(f"{place} is read, and may be lacking")
