"""Neuronpedia's bulk exports, from their public bucket into a cache folder."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from competency_gaps.dictionary.imports.http import Http, HttpError, Network
from competency_gaps.dictionary.imports.neuronpedia import BATCH, batches, read_batches
from competency_gaps.dictionary.imports.reading import Reading, shown
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic
from competency_gaps.progress import Progress

_PAGE = 16 * 2**20
"""Longest page of a listing, in bytes; a page has at most 1,000 names."""
_PAGES = 10_000
_BATCH = 2 * 2**30
"""Largest batch file, in bytes."""
_SOURCE = 64 * 2**20


class _Listed(NamedTuple):
    key: str
    size: int


def fetch_export(model: str, source: str, cache: Path, network: Network, progress: Progress) -> Reading:
    """Fetch the explanations of a Neuronpedia source and read them.

    Batches are kept in the cache folder; those that have the listed size are not fetched again.

    Raises
    ------
    UserError
        If nothing is listed, or the listing or a batch cannot be fetched; what was fetched is kept.
    MissingExtraError
        If httpx is not installed.
    """
    prefix = f"v1/{model}/{source}/"
    folder = cache / "neuronpedia" / model / source
    with Http(network) as http:
        names, others = _listing(http, network.bucket, f"{prefix}explanations/")
        if not names:
            raise UserError(
                f"Neuronpedia has no explanations under {prefix}explanations/ at {network.bucket}. "
                f"Check the model and the source, as its pages name them: neuronpedia:MODEL/SOURCE."
            )
        sources = _sources(http, network.bucket, prefix, folder)
        _download(http, names, folder / "explanations", network, progress)
    here = {listed.key.rsplit("/", 1)[-1] for listed in names}
    paths = [path for path in batches(folder / "explanations") if path.name in here]
    reading = read_batches(paths, [], sources, progress)
    reading.stated.add_neuronpedia(model, source)
    for key in others:
        reading.leave_out("the bucket's listing", "file is no batch-N.jsonl.gz", shown(key))
    return reading


def _listing(http: Http, bucket: str, prefix: str) -> tuple[list[_Listed], list[str]]:
    """All batches under a prefix, page by page (S3's ListObjectsV2), and the names of other files."""
    names: list[_Listed] = []
    others: list[str] = []
    token, seen = None, set()
    for _ in range(_PAGES):
        params = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
        try:
            answer = http.get(f"{bucket.rstrip('/')}/", params=params, limit=_PAGE, check=_page)
        except HttpError as error:
            raise UserError(
                f"Neuronpedia's exports cannot be listed at {bucket}: {error}. Without a network, download the "
                f"export's folder elsewhere and give its path."
            ) from error
        if answer.status != 200:
            raise UserError(f"Neuronpedia's exports cannot be listed at {bucket}: status {answer.status}.")
        page, token = _page(answer.body)
        for listed in page:
            name = listed.key.removeprefix(prefix)
            # Foreign names become paths, so only plain batch names are taken.
            if listed.key.startswith(prefix) and BATCH.fullmatch(name):
                names.append(listed)
            elif name:
                others.append(listed.key)
        if token is None:
            return names, others
        if token in seen:
            break
        seen.add(token)
    raise UserError(f"the listing at {bucket} does not end: it repeats a page. Try again later.")


def _page(body: bytes) -> tuple[list[_Listed], str | None]:
    """Names and sizes on one page, and the token of the next page; None on the last."""
    # Declarations can make a small document huge; zero bytes (UTF-16) could hide them.
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body or b"\0" in body:
        raise ValueError("a listing with declarations of its own")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise ValueError(f"no listing ({error})") from error
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    if root.tag != "ListBucketResult":
        raise ValueError("no listing of a bucket")
    files = [_Listed(item.findtext("Key", ""), int(item.findtext("Size", "-1"))) for item in root.iter("Contents")]
    more = root.findtext("IsTruncated", "false").strip() == "true"
    token = root.findtext("NextContinuationToken")
    if more and not token:
        raise ValueError("a listing that has further pages, but no token for them")
    return files, token if more else None


def _sources(http: Http, bucket: str, prefix: str, folder: Path) -> list[Path]:
    for name in ("source.jsonl", "source.jsonl.gz"):
        try:
            answer = http.get(f"{bucket.rstrip('/')}/{prefix}{name}", limit=_SOURCE, raw=True)
        except HttpError:
            continue
        if answer.status == 200:
            _write(folder / name, answer.body)
            return [folder / name]
    return []


def _download(http: Http, names: list[_Listed], folder: Path, network: Network, progress: Progress) -> None:
    def fetch(listed: _Listed) -> str | None:
        path = folder / listed.key.rsplit("/", 1)[-1]

        def whole(body: bytes) -> None:
            if listed.size >= 0 and len(body) != listed.size:
                raise ValueError(f"{len(body):,} bytes of {listed.size:,}")

        if path.is_file() and path.stat().st_size == listed.size:
            return None
        try:
            answer = http.get(f"{network.bucket.rstrip('/')}/{listed.key}", limit=_BATCH, check=whole, raw=True)
        except HttpError as error:
            return f"{path.name}: {error}"
        if answer.status != 200:
            return f"{path.name}: status {answer.status}"
        _write(path, answer.body)
        return None

    failed: list[str] = []
    pool = ThreadPoolExecutor(network.workers)
    try:
        with progress.stage("fetching labels", total=len(names), unit="files") as bar:
            for failure in pool.map(fetch, names):
                failed += [failure] if failure else []
                bar.advance()
    finally:
        http.stop()
        pool.shutdown(cancel_futures=True)
    if failed:
        raise UserError(
            f"{len(failed):,} of {len(names):,} files cannot be fetched from {network.bucket} (first: {failed[0]}). "
            f"What was fetched is kept in {folder}: run the same command again."
        )


def _write(path: Path, body: bytes) -> None:
    def write(part: Path) -> None:
        part.write_bytes(body)

    write_atomic(path, write)
