"""Fetch labels from Neuronpedia's API, feature by feature; answers are cached."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from competency_gaps.dictionary.imports.http import Http, HttpError, Network
from competency_gaps.dictionary.imports.neuronpedia import add_object
from competency_gaps.dictionary.imports.reading import KNOWN_TOKENS, Reading, parse_json, whole_number
from competency_gaps.errors import UserError
from competency_gaps.files import write_json
from competency_gaps.progress import Bar, Progress

KIND = "neuronpedia-api"
_ANSWER = 64 * 2**20
"""Largest answer, in bytes."""
_PER_FOLDER = 1000
"""Answers kept in one folder."""
_ALL_MISSING = 20
"""If none of more than this many concepts is there, the names are probably wrong [ours]."""
_GIVE_UP = 3
"""Rounds of ``workers`` failures in a row after which the remaining concepts are not asked for [ours]."""


def fetch_features(
    model: str, source: str, concepts: Sequence[int], cache: Path, network: Network, progress: Progress
) -> Reading:
    """Fetch concepts' explanations one by one.

    A concept that Neuronpedia does not have (404) is looked up and has no label. Answers are kept as JSON files, so
    that a concept is asked for once; failures are not kept. After too many failures in a row, the remaining concepts
    are not asked for, and counted as left out.

    Parameters
    ----------
    model, source
        Neuronpedia's names.
    concepts
        Which concepts to ask for.
    cache
        Folder where answers are kept.
    network
        The server, and how many requests at a time.
    progress
        Shows how far it is.

    Raises
    ------
    UserError
        If not one concept could be fetched.
    MissingExtraError
        If httpx is not installed.
    """
    folder = cache / "neuronpedia-api" / model / source
    reading = Reading(KIND)
    reading.stated.add_neuronpedia(model, source)
    answers: dict[int, dict[str, Any]] = {}
    with progress.stage("fetching labels", total=len(concepts), unit="concepts") as bar:
        missing = []
        for concept in dict.fromkeys(concepts):
            kept = _kept(_place(folder, concept), concept)
            if kept is None:
                missing.append(concept)
            else:
                answers[concept] = kept
        bar.skip(len(concepts) - len(missing))
        if missing:
            with Http(network) as http:
                answers |= _ask(
                    http, f"{network.api.rstrip('/')}/api/feature/{model}/{source}", missing, folder, bar, reading
                )
    if concepts and not answers:
        (reason, (_, first)), *_ = reading.left_out.items()
        raise UserError(
            f"no concept of {model}/{source} could be fetched from {network.api} ({reason[1]}; {first}). "
            f"Without a network, give a file or folder of labels."
        )
    if len(answers) > _ALL_MISSING and all(answer["status"] != 200 for answer in answers.values()):
        raise UserError(
            f"Neuronpedia has none of {len(answers):,} concepts of {model}/{source}. Check the model and the source, "
            f"as its pages name them: neuronpedia-api:MODEL/SOURCE."
        )
    where = f"neuronpedia:{model}/{source}"
    for concept in sorted(answers):
        row = {"modelId": model, "layer": source, **answers[concept]}
        add_object(reading, row, where, f"concept {concept}", concept)
    return reading


def _ask(
    http: Http, base: str, concepts: list[int], folder: Path, bar: Bar, reading: Reading
) -> dict[int, dict[str, Any]]:
    def fetch(concept: int) -> dict[str, Any]:
        def check(body: bytes) -> None:
            _trimmed(body, concept)

        answer = http.get(f"{base}/{concept}", limit=_ANSWER, check=check)
        if answer.status == 403:
            raise HttpError("status 403")
        fields = _trimmed(answer.body, concept) if answer.status == 200 else {}
        kept = {"status": answer.status, **fields}
        write_json(_place(folder, concept), kept)
        return kept

    answers: dict[int, dict[str, Any]] = {}
    in_a_row, workers = 0, http.network.workers
    pool = ThreadPoolExecutor(workers)
    try:
        for start in range(0, len(concepts), 4 * workers):
            chunk = concepts[start : start + 4 * workers]
            for concept, fetched in [(concept, pool.submit(fetch, concept)) for concept in chunk]:
                bar.advance()
                try:
                    answers[concept] = fetched.result()
                    in_a_row = 0
                except HttpError as error:
                    in_a_row += 1
                    reading.leave_out(http.network.api, "concept could not be fetched", f"concept {concept}: {error}")
            rest = concepts[start + 4 * workers :]
            if in_a_row >= _GIVE_UP * workers and rest:
                reason = "concept not asked for, since too many requests failed"
                reading.leave_out(http.network.api, reason, f"concept {rest[0]}", len(rest))
                break
    finally:
        http.stop()
        pool.shutdown(cancel_futures=True)
    return answers


def _trimmed(body: bytes, concept: int) -> dict[str, Any]:
    """The fields of an answer that are kept: with its activations, an answer has some 100 kB.

    Raises
    ------
    ValueError
        If it is no object, or one of another concept.
    """
    value = parse_json(body.decode("utf-8"))
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__}, expected an object")
    if "index" in value and whole_number(value["index"]) != concept:
        raise ValueError(f"an answer about another concept than {concept}")
    kept: dict[str, Any] = {key: value[key] for key in ("modelId", "layer", "index") if key in value}
    tokens, source, explanations = value.get("pos_str"), value.get("source"), value.get("explanations")
    if isinstance(tokens, list):
        kept["pos_str"] = tokens[:KNOWN_TOKENS]
    if isinstance(source, dict):
        kept["source"] = {key: source.get(key) for key in ("modelId", "id", "saelensRelease", "saelensSaeId")}
    if isinstance(explanations, list):
        names = ("description", "explanationModelName", "typeName")
        kept["explanations"] = [{key: row.get(key) for key in names} for row in explanations if isinstance(row, dict)]
    return kept


def _place(folder: Path, concept: int) -> Path:
    return folder / str(concept // _PER_FOLDER) / f"{concept}.json"


def _kept(path: Path, concept: int) -> dict[str, Any] | None:
    """A cached answer; None if there is none, or it is damaged."""
    try:
        body = path.read_bytes()
        value = parse_json(body.decode("utf-8"))
        _trimmed(body, concept)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and "status" in value else None
