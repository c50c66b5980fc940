"""Lists that ``cgaps match`` compared with a run, read back from its folder: entries, outcomes, what no entry names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from competency_gaps.errors import UserError
from competency_gaps.matching.kept_files import EXAMPLE_MATCHES, MATCHES, damaged, kept_files, read_file, width
from competency_gaps.matching.kept_forms import (
    ChanceForm,
    ConceptForm,
    ExampleEntryForm,
    ExamplesForm,
    LabelEntryForm,
    LabelsForm,
    ShareForm,
)
from competency_gaps.matching.kept_records import ExamplesRun, KeptEntry, KeptList, MatchPair, OutcomeRate
from competency_gaps.matching.outcomes import Outcome, RatedOutcome
from competency_gaps.runs.open import RunFolder, open_folder

if TYPE_CHECKING:
    from competency_gaps.runs.assessment import Documents

_Form: TypeAlias = LabelsForm | ExamplesForm


def has_lists(folder: Path) -> bool:
    """Whether a run folder holds any list that was compared."""
    return any(True for name in (MATCHES, EXAMPLE_MATCHES) for _ in kept_files(folder, name))


def read_lists(run: Documents) -> list[KeptList]:
    """Read all kept lists: by examples first, each by the name of its file.

    Returns
    -------
    list of KeptList
        Empty if none was kept.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    lists = []
    for file in kept_files(run.path, EXAMPLE_MATCHES):
        by_examples = read_file(run, file, ExamplesForm, "match")
        _check(run, file, by_examples)
        lists.append(_list_by_examples(by_examples))
    for file in kept_files(run.path, MATCHES):
        by_labels = read_file(run, file, LabelsForm, "match")
        _check(run, file, by_labels)
        lists.append(_list_by_labels(by_labels))
    return lists


def open_examples(kept: KeptList) -> RunFolder | Literal["gone", "changed"] | None:
    """The run that read a list's examples; or why it cannot be shown; None: they are items of the run itself."""
    place = kept.examples_run
    if place is None:
        return None
    try:
        run = open_folder(place.path)
    except (UserError, OSError):
        return "gone"
    # A run folder may come from somebody else: what it names is shown only if it holds what was read.
    known = [entry["content_sha256"] for entry in run.manifest["benchmarks"]]
    return run if known == list(place.content_sha256) else "changed"


def _check(run: Documents, file: Path, form: _Form) -> None:
    """Raise UserError if a file names what the run or its own entries do not have."""
    known = {entry.entry for entry in form.entries}
    concepts = [pair.concept for pair in form.pairs]
    concepts += [row.concept for row in _unnamed(form)]
    strangers = [pair.entry for pair in (*form.pairs, *form.themes) if pair.entry not in known]
    if strangers or any(concept >= width(run) for concept in concepts):
        named = repr(strangers[0]) if strangers else "an entry"
        raise damaged(file, f"a pair of {named} has no such entry or concept", "match")


def _unnamed(form: _Form) -> Sequence[ConceptForm]:
    return form.unnamed if isinstance(form, LabelsForm) else form.unexplained


def _list_by_labels(form: LabelsForm) -> KeptList:
    pairs: dict[str, list[MatchPair]] = {entry.entry: [] for entry in form.entries}
    for own in form.pairs:
        figures = (own.label_text, own.similarity, own.p_value)
        pairs[own.entry].append(_pair(*figures, concept=own.concept, verdict=own.verdict))
    for theme in form.themes:
        figures = (theme.label_text, theme.similarity, theme.p_value)
        pairs[theme.entry].append(_pair(*figures, level=theme.level, theme=theme.id, verdict=theme.verdict))
    entries = [
        KeptEntry(
            number,
            *(entry.entry, entry.description, entry.domain, entry.category, entry.score),
            _label_outcome(entry),
            None,
            entry.bound,
            None,
            None,
            pairs[entry.entry],
        )
        for number, entry in enumerate(form.entries, 1)
    ]
    null = form.calibration.realised
    return KeptList(
        taxonomy=_name(form.taxonomy, is_path=form.taxonomy_is_path),
        by="labels",
        created=form.created,
        where=form.where,
        level=form.alpha,
        entries=entries,
        rates=[
            _rate("matched", form.recovery, len(entries) * null.count / null.of if null.of else None),
            _rate_by_chance("weak", form.weak),
            _rate_by_chance("untested", form.untested),
        ],
        unnamed=[row.concept for row in form.unnamed],
        weak_concepts=form.unnamed_share.of,
        left_out=0,
        examples_run=None,
    )


def _label_outcome(entry: LabelEntryForm) -> Outcome:
    if entry.recovered_weak:
        return "weak"
    if entry.untested:
        return "untested"
    return "matched" if entry.recovered else "not matched"


def _pair(label: str | None, strength: float, p_value: float, **further: Any) -> MatchPair:
    names = ("concept", "level", "theme", "verdict", "leader", "label_similarity")
    return MatchPair(label=label, strength=strength, p_value=p_value, **{**dict.fromkeys(names), **further})


def _list_by_examples(form: ExamplesForm) -> KeptList:
    pairs: dict[str, list[MatchPair]] = {entry.entry: [] for entry in form.entries}
    for own in form.pairs:
        further = {"leader": own.leader, "label_similarity": own.label_similarity}
        pairs[own.entry].append(_pair(own.label, own.auroc, own.p_value, concept=own.concept, **further))
    for theme in form.themes:
        pairs[theme.entry].append(_pair(theme.name, theme.auroc, theme.p_value, level="theme", theme=theme.theme))
    rates: Mapping[RatedOutcome, ChanceForm] = {
        "matched": form.matched,
        "weak": form.weak,
        "untested": form.untested,
    }
    place = form.examples_run
    return KeptList(
        taxonomy=_name(form.taxonomy, is_path=form.taxonomy_is_path),
        by="examples",
        created=form.created,
        where=form.where,
        level=form.q,
        entries=[_example_entry(entry, number, pairs[entry.entry]) for number, entry in enumerate(form.entries, 1)],
        rates=[_rate_by_chance(name, chance) for name, chance in rates.items()],
        unnamed=[row.concept for row in form.unexplained],
        weak_concepts=form.weak_concepts,
        left_out=len(form.left_out_examples),
        examples_run=None if place is None else ExamplesRun(Path(place.path), place.content_sha256),
    )


def _example_entry(entry: ExampleEntryForm, number: int, pairs: Sequence[MatchPair]) -> KeptEntry:
    return KeptEntry(
        number,
        *(entry.entry, entry.description, entry.domain, entry.category, entry.score),
        entry.outcome,
        entry.not_compared,
        None,
        entry.examples,
        entry.example_rows,
        pairs,
    )


def _rate(
    outcome: RatedOutcome,
    observed: ShareForm,
    expected: float | None,
    low: float | None = None,
    high: float | None = None,
    p_value: float | None = None,
) -> OutcomeRate:
    return OutcomeRate(outcome, observed.count, observed.of, observed.low, observed.high, expected, low, high, p_value)


def _rate_by_chance(outcome: RatedOutcome, chance: ChanceForm) -> OutcomeRate:
    return _rate(outcome, chance.observed, chance.expected, chance.low, chance.high, chance.p_value)


def _name(taxonomy: str, *, is_path: bool) -> str:
    return (Path(taxonomy).name if is_path else "") or taxonomy
