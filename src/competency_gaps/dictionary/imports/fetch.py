"""Fetch labels from Neuronpedia: a source's bulk export, or its API concept by concept. What is fetched is kept."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from competency_gaps.dictionary.imports.http import Http, HttpError, LabelServers
from competency_gaps.dictionary.imports.neuronpedia import BATCH, add_object, batches, read_batches
from competency_gaps.dictionary.imports.reading import KNOWN_TOKENS, Reading, parse_json, shown, whole_number
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic, write_json
from competency_gaps.progress import Bar, Progress

_ALL_MISSING = 20
"""If none of more than this many concepts exists, the names are probably wrong [ours]."""
_GIVE_UP = 3
"""Rounds of ``workers`` consecutive failures after which the remaining concepts are not requested [ours]."""


def fetch_export(model: str, source: str, cache: Path, servers: LabelServers, progress: Progress) -> Reading:
    """Fetch the explanations of a Neuronpedia source and read them.

    Batches are kept in the cache folder; a kept batch of the listed size is not fetched again.

    Raises
    ------
    UserError
        If nothing is listed, or the listing or a batch cannot be fetched; what was fetched is kept.
    MissingExtraError
        If httpx is not installed.
    """
    prefix = f"v1/{model}/{source}/"
    folder = cache / "neuronpedia" / model / source
    with Http(servers) as http:
        sizes, others = _list_batches(http, f"{prefix}explanations/")
        if not sizes:
            raise UserError(
                f"Neuronpedia has no explanations under {prefix}explanations/ at {servers.bucket}. "
                f"Check the model and the source, as its pages name them: neuronpedia:MODEL/SOURCE."
            )
        sources = _fetch_source(http, prefix, folder)
        _fetch_batches(http, f"{prefix}explanations/", sizes, folder / "explanations", progress)
    paths = [path for path in batches(folder / "explanations") if path.name in sizes]
    reading = read_batches(paths, [], sources, progress)
    reading.stated.add_neuronpedia(model, source)
    for key in others:
        reading.leave_out("the bucket's listing", "file is no batch-N.jsonl.gz", shown(key))
    return reading


def _list_batches(http: Http, prefix: str) -> tuple[dict[str, int], list[str]]:
    """Sizes of all batches under a prefix by name (-1: not stated), and other files' keys, by S3's ListObjectsV2."""
    sizes: dict[str, int] = {}
    others: list[str] = []
    params: dict[str, str] | None = {"list-type": "2", "prefix": prefix}
    while params:
        try:
            body = http.get(f"{http.servers.bucket}/", params=params, check=_page)
        except HttpError as error:
            raise UserError(
                f"Neuronpedia's exports cannot be listed at {http.servers.bucket}: {error}. Without a network, "
                f"download the export's folder elsewhere and give its path."
            ) from error
        if body is None:
            raise UserError(f"Neuronpedia's exports cannot be listed: there is no bucket at {http.servers.bucket}.")
        page = _page(body)
        for item in page.iter("Contents"):
            key = item.findtext("Key", "")
            name = key.removeprefix(prefix)
            # Foreign names become paths, so only plain batch names are taken.
            if key.startswith(prefix) and BATCH.fullmatch(name):
                size = whole_number(item.findtext("Size"))
                sizes[name] = -1 if size is None else size
            elif name:
                others.append(key)
        token = page.findtext("NextContinuationToken")
        params = {"list-type": "2", "prefix": prefix, "continuation-token": token} if token else None
    return sizes, others


def _page(body: bytes) -> ElementTree.Element:
    """One page of a listing, its tags without their namespace; ValueError if the body is no listing."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise ValueError(f"no listing ({error})") from error
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    if root.tag != "ListBucketResult":
        raise ValueError("no listing of a bucket")
    return root


def _fetch_source(http: Http, prefix: str, folder: Path) -> list[Path]:
    for name in ("source.jsonl", "source.jsonl.gz"):
        try:
            body = http.get(f"{http.servers.bucket}/{prefix}{name}", raw=True)
        except HttpError:
            continue
        if body is not None:
            _write(folder / name, body)
            return [folder / name]
    return []


def _fetch_batches(http: Http, prefix: str, sizes: dict[str, int], folder: Path, progress: Progress) -> None:
    def fetch(name: str) -> str | None:
        def check_size(body: bytes) -> None:
            if sizes[name] not in (-1, len(body)):
                raise ValueError(f"{len(body):,} bytes of {sizes[name]:,}")

        if (folder / name).is_file() and (folder / name).stat().st_size == sizes[name]:
            return None
        try:
            body = http.get(f"{http.servers.bucket}/{prefix}{name}", check=check_size, raw=True)
        except HttpError as error:
            return f"{name}: {error}"
        if body is None:
            return f"{name}: it is listed, but does not exist"
        _write(folder / name, body)
        return None

    failed: list[str] = []
    with progress.stage("fetching labels", total=len(sizes), unit="files") as bar:
        for failure in http.pool.map(fetch, sizes):
            failed += [failure] if failure else []
            bar.advance()
    if failed:
        raise UserError(
            f"{len(failed):,} of {len(sizes):,} files cannot be fetched from {http.servers.bucket} "
            f"(first: {failed[0]}). What was fetched is kept in {folder}: run the same command again."
        )


def _write(path: Path, body: bytes) -> None:
    def write(part: Path) -> None:
        part.write_bytes(body)

    write_atomic(path, write)


def fetch_features(
    model: str, source: str, concepts: Sequence[int], cache: Path, servers: LabelServers, progress: Progress
) -> Reading:
    """Fetch concepts' explanations one by one.

    A concept that Neuronpedia does not have (404) counts as looked up, without a label. Answers are kept as JSON
    files, so that each is fetched once; failures are not kept. After too many consecutive failures the remaining
    concepts are not requested, and are counted as left out.

    Raises
    ------
    UserError
        If not one concept could be fetched.
    MissingExtraError
        If httpx is not installed.
    """
    folder = cache / "neuronpedia-api" / model / source
    reading = Reading("neuronpedia-api")
    reading.stated.add_neuronpedia(model, source)
    concepts = list(dict.fromkeys(concepts))  # two threads must not write one file
    with progress.stage("fetching labels", total=len(concepts), unit="concepts") as bar:
        answers = {concept: kept for concept in concepts if (kept := _kept(folder / f"{concept}.json"))}
        bar.skip(len(answers))
        if missing := [concept for concept in concepts if concept not in answers]:
            with Http(servers) as http:
                answers |= _fetch_answers(http, f"api/feature/{model}/{source}", missing, folder, bar, reading)
    if concepts and not answers:
        ((_, reason), (_, first)), *_ = reading.left_out.items()
        raise UserError(
            f"no concept of {model}/{source} could be fetched from {servers.api} ({reason}; {first}). "
            f"Without a network, give a file or folder of labels."
        )
    if len(answers) > _ALL_MISSING and all(answer["status"] != 200 for answer in answers.values()):
        raise UserError(
            f"Neuronpedia has none of {len(answers):,} concepts of {model}/{source}. Check the model and the source, "
            f"as its pages name them: neuronpedia-api:MODEL/SOURCE."
        )
    for concept, answer in sorted(answers.items()):
        row = {"modelId": model, "layer": source, **answer}
        add_object(reading, row, f"neuronpedia:{model}/{source}", f"concept {concept}", concept)
    return reading


def _fetch_answers(
    http: Http, path: str, concepts: list[int], folder: Path, bar: Bar, reading: Reading
) -> dict[int, dict[str, Any]]:
    def fetch(concept: int) -> dict[str, Any]:
        body = http.get(f"{http.servers.api}/{path}/{concept}", check=lambda body: _fields(body, concept))
        answer = {"status": 404} if body is None else {"status": 200, **_fields(body, concept)}
        write_json(folder / f"{concept}.json", answer)
        return answer

    answers: dict[int, dict[str, Any]] = {}
    consecutive = 0
    futures = [http.pool.submit(fetch, concept) for concept in concepts]
    for number, (concept, future) in enumerate(zip(concepts, futures, strict=True), start=1):
        try:
            answers[concept] = future.result()
            consecutive = 0
        except HttpError as error:
            consecutive += 1
            reading.leave_out(http.servers.api, "concept could not be fetched", f"concept {concept}: {error}")
        bar.advance()
        if consecutive >= _GIVE_UP * http.servers.workers and (rest := concepts[number:]):
            reason = "concept not requested, since too many requests failed"
            reading.leave_out(http.servers.api, reason, f"concept {rest[0]}", len(rest))
            break
    return answers


def _fields(body: bytes, concept: int) -> dict[str, Any]:
    """The fields of an answer that are kept (with its activations, an answer has some 100 kB).

    Raises
    ------
    ValueError
        If it is no object, or is about another concept.
    """
    value = parse_json(body)
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


def _kept(path: Path) -> dict[str, Any] | None:
    """A kept answer; None if it is missing or damaged."""
    try:
        answer = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) and "status" in answer else None
