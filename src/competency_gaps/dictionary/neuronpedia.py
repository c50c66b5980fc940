"""Fetch labels from Neuronpedia: a source's bulk export, or its API concept by concept. What is fetched is kept."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.files import write_atomic
from competency_gaps.progress import Progress
from competency_gaps.text import shorten, visible

BATCH = re.compile(r"batch-([0-9]{1,9})\.jsonl(\.gz)?")
KNOWN_TOKENS = 20
"""Promoted tokens kept of each concept."""
_ALL_MISSING = 20
"""If none of more than this many concepts exists, the names are probably wrong [ours]."""


@dataclass(frozen=True)
class LabelServers:
    """Servers of labels, and limits of requests."""

    api: str = "https://www.neuronpedia.org"
    """Base address of Neuronpedia's per-feature API."""
    bucket: str = "https://neuronpedia-datasets.s3.us-east-1.amazonaws.com"
    """Base address of the bucket with its bulk exports."""
    workers: int = 8
    """Requests at a time."""
    attempts: int = 6
    """Attempts of one request."""
    first_wait: float = 1.0
    """Seconds before the second attempt; doubled after each, up to a minute."""
    timeout: float = 60.0
    """Seconds without an answer after which an attempt has failed."""


def fetch_export(model: str, source: str, cache: Path, servers: LabelServers, progress: Progress) -> Path:
    """Fetch the explanations of a Neuronpedia source; gives the export's folder.

    A batch of the listed size that is there is not fetched again.

    Raises
    ------
    UserError
        If nothing is listed, or the listing or a batch cannot be fetched.
    MissingExtraError
        If httpx or tenacity is not installed.
    """
    prefix, folder = f"v1/{model}/{source}/", cache / "neuronpedia" / model / source
    with _Client(servers) as client:
        sizes = _list_batches(client, f"{prefix}explanations/")
        if not sizes:
            raise UserError(
                f"Neuronpedia has no explanations under {prefix}explanations/ at {servers.bucket}. "
                f"Check the model and the source, as its pages name them: neuronpedia:MODEL/SOURCE."
            )
        files = {folder / "explanations" / name: size for name, size in sizes.items()}
        files = {path: size for path, size in files.items() if not path.is_file() or path.stat().st_size != size}

        def whole(path: Path, body: bytes | None) -> bytes | None:
            if body is not None and files.get(path, -1) not in (-1, len(body)):
                raise ValueError(f"{path.name}: {len(body):,} bytes of {files[path]:,}")
            return body

        wanted = [folder / "source.jsonl", folder / "source.jsonl.gz", *files]
        addresses = {path: f"{servers.bucket}/{prefix}{path.relative_to(folder).as_posix()}" for path in wanted}
        client.keep(addresses, whole, progress, raw=True)
    return folder


def fetch_features(
    model: str, source: str, concepts: Sequence[int], cache: Path, servers: LabelServers, progress: Progress
) -> list[Path]:
    """Fetch concepts' explanations one by one; gives a JSON file for each.

    A concept that Neuronpedia does not have (404) counts as looked up, without a label.

    Raises
    ------
    UserError
        If a concept cannot be fetched, or Neuronpedia has none of many.
    MissingExtraError
        If httpx or tenacity is not installed.
    """
    folder = cache / "neuronpedia-api" / model / source
    paths = [folder / f"{concept}.json" for concept in dict.fromkeys(concepts)]

    def trimmed(path: Path, body: bytes | None) -> bytes:
        feature = {"modelId": model, "layer": source, "index": path.stem, "explanations": []}
        return json.dumps(feature if body is None else feature | _fields(body)).encode()

    if missing := [path for path in paths if not path.is_file()]:
        addresses = {path: f"{servers.api}/api/feature/{model}/{source}/{path.stem}" for path in missing}
        with _Client(servers) as client:
            found = client.keep(addresses, trimmed, progress)
        if not found and len(missing) == len(paths) > _ALL_MISSING:
            raise UserError(
                f"Neuronpedia has none of {len(paths):,} concepts of {model}/{source}. Check the model and the source, "
                f"as its pages name them: neuronpedia-api:MODEL/SOURCE."
            )
    return paths


def _fields(body: bytes) -> dict[str, Any]:
    """What is kept of an answer (with its activations, an answer has some 100 kB); ValueError if it is no object."""
    value = json.loads(body)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__}, expected an object")
    kept = {key: value[key] for key in ("modelId", "layer", "index", "source", "explanations") if key in value}
    if isinstance(tokens := value.get("pos_str"), list):
        kept["pos_str"] = tokens[:KNOWN_TOKENS]
    return kept


def _list_batches(client: _Client, prefix: str) -> dict[str, int]:
    """Sizes of all batches under a prefix by name, by S3's ListObjectsV2."""
    sizes: dict[str, int] = {}
    params: dict[str, str] | None = {"list-type": "2", "prefix": prefix}
    while params:
        page = client.get(f"{client.servers.bucket}/", _page, params)
        for item in page.iter("Contents"):
            name = item.findtext("Key", "").removeprefix(prefix)
            if BATCH.fullmatch(name):  # names become paths, so only plain ones are taken
                sizes[name] = int(item.findtext("Size") or -1)
        token = page.findtext("NextContinuationToken")
        params = {"list-type": "2", "prefix": prefix, "continuation-token": token} if token else None
    return sizes


def _page(body: bytes | None) -> ElementTree.Element:
    """One page of a listing, its tags without their namespace; ValueError if the body is no listing."""
    try:
        root = ElementTree.fromstring(body or b"")
    except ElementTree.ParseError as error:
        raise ValueError(f"no listing of a bucket ({error})") from error
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    if root.tag != "ListBucketResult":
        raise ValueError("no listing of a bucket")
    return root


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


class _Client:
    """An HTTP client with a pool of threads, which repeats requests after transient failures."""

    def __init__(self, servers: LabelServers) -> None:
        try:
            import httpx
            import tenacity
        except ImportError as error:
            raise MissingExtraError(str(error.name), "label", "Fetching labels") from error
        self.servers = servers
        self._failures = (httpx.HTTPError, ValueError)
        self._client = httpx.Client(timeout=servers.timeout, follow_redirects=True)
        self._pool = ThreadPoolExecutor(servers.workers)

        def transient(error: BaseException) -> bool:
            if isinstance(error, httpx.HTTPStatusError):
                return error.response.status_code in (408, 425, 429) or error.response.status_code >= 500
            return isinstance(error, self._failures)

        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(transient),
            stop=tenacity.stop_after_attempt(servers.attempts),
            wait=tenacity.wait_exponential(servers.first_wait, max=60),
            reraise=True,
        )

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def get(
        self, url: str, read: Callable[[bytes | None], Any], params: dict[str, str] | None = None, *, raw: bool = False
    ) -> Any:
        """What ``read`` makes of an address's body (None: nothing is there); raises UserError if it cannot be fetched.

        A ValueError of ``read`` counts as a broken answer. ``raw``: take the bytes without undoing a content encoding.
        """

        def fetch() -> Any:
            with self._client.stream("GET", url, params=params) as response:
                if response.status_code in (404, 410):
                    return read(None)
                response.raise_for_status()
                return read(b"".join(response.iter_raw() if raw else response.iter_bytes()))

        try:
            return self._retrying(fetch)
        except self._failures as error:
            why = shorten(visible(str(error).splitlines()[0] if str(error) else type(error).__name__), 200)
            raise UserError(
                f"{url} cannot be fetched: {why}. What was fetched is kept: run the same command again, or, without a "
                f"network, give a file or folder of labels."
            ) from error

    def keep(
        self,
        addresses: Mapping[Path, str],
        read: Callable[[Path, bytes | None], bytes | None],
        progress: Progress,
        *,
        raw: bool = False,
    ) -> int:
        """Fetch addresses into files; gives the number of those where something was there."""

        def fetch(path: Path) -> bool:
            found = False

            def read_body(body: bytes | None) -> bytes | None:
                nonlocal found
                found = body is not None
                return read(path, body)

            content = self.get(addresses[path], read_body, raw=raw)
            if content is not None:
                write_atomic(path, partial(_write, content))
            return found

        with progress.stage("fetching labels", total=len(addresses), unit="files") as bar:
            count = 0
            for found in self._pool.map(fetch, addresses):
                count += found
                bar.advance()
        return count
