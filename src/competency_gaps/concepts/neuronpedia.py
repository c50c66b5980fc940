"""Download a source's labels from Neuronpedia's bulk export into the cache folder."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from competency_gaps.util.errors import UserError, needed
from competency_gaps.util.files import cache_folder, write_atomic
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import one_line

BATCH = re.compile(r"batch-([0-9]{1,9})\.jsonl(\.gz)?")


BUCKET = "https://neuronpedia-datasets.s3.us-east-1.amazonaws.com"
"""Base address of the bucket with Neuronpedia's bulk exports."""
WORKERS, ATTEMPTS = 8, 6
"""Concurrent requests, and attempts of one request."""
FIRST_WAIT, TIMEOUT = 1.0, 60.0
"""Seconds before the second attempt (doubled for each further one, up to a minute), and timeout of an attempt."""


def fetch_export(model: str, source: str, progress: Progress) -> Path:
    """Download the explanations of a Neuronpedia source and return the folder of the export.

    Batches that are already there, with the listed size, are not downloaded again.

    Raises
    ------
    UserError
        If nothing is listed, or the listing or a batch cannot be fetched.
    MissingExtraError
        If httpx or tenacity is not installed.
    """
    with needed(None, "label", "Fetching labels"):
        import httpx
        import tenacity  # noqa: F401 - missing packages show before anything is asked
    prefix, folder = f"v1/{model}/{source}/", cache_folder() / "labels" / "neuronpedia" / model / source
    with httpx.Client(timeout=TIMEOUT, follow_redirects=True) as client:
        get = partial(_get, client)
        sizes = _list_batches(get, f"{prefix}explanations/")
        if not sizes:
            raise UserError(
                f"Neuronpedia has no explanations under {prefix}explanations/ at {BUCKET}. "
                f"Check the model and the source as written on its pages: neuronpedia:MODEL/SOURCE."
            )
        files = {folder / "explanations" / name: size for name, size in sizes.items()}
        files = {path: size for path, size in files.items() if not path.is_file() or path.stat().st_size != size}
        wanted = [folder / "source.jsonl", folder / "source.jsonl.gz", *files]

        def keep(path: Path) -> None:
            def whole(body: bytes | None) -> bytes | None:
                if body is not None and files.get(path, -1) not in (-1, len(body)):
                    raise ValueError(f"{path.name}: {len(body):,} bytes of {files[path]:,}")
                return body

            content = get(f"{prefix}{path.relative_to(folder).as_posix()}", whole)
            if content is not None:
                write_atomic(path, lambda draft: draft.write_bytes(content))

        pool = ThreadPoolExecutor(WORKERS)
        with progress.stage("fetching labels", total=len(wanted), unit="files") as bar:
            try:
                for _ in pool.map(keep, wanted):
                    bar.advance()
            finally:
                pool.shutdown(cancel_futures=True)
    return folder


def _list_batches(get: Callable[..., Any], prefix: str) -> dict[str, int]:
    """Return the size in bytes of each batch under a prefix, by name, from S3's ListObjectsV2; -1: unknown."""
    sizes: dict[str, int] = {}
    params: dict[str, str] | None = {"list-type": "2", "prefix": prefix}
    while params:
        page = get("", _page, params)
        for item in page.findall("{*}Contents"):
            name = item.findtext("{*}Key", "").removeprefix(prefix)
            if BATCH.fullmatch(name):  # names become paths, so others are ignored
                sizes[name] = int(item.findtext("{*}Size") or -1)
        token = page.findtext("{*}NextContinuationToken")
        params = {"list-type": "2", "prefix": prefix, "continuation-token": token} if token else None
    return sizes


def _page(body: bytes | None) -> ElementTree.Element:
    """Return one parsed page of a listing; raises ValueError if the body is not a listing."""
    try:
        root = ElementTree.fromstring(body or b"")
    except ElementTree.ParseError as error:
        raise ValueError(f"not a bucket listing ({error})") from error
    if root.tag.rpartition("}")[2] != "ListBucketResult":
        raise ValueError("no listing of a bucket")
    return root


def _get(client: Any, path: str, read: Callable[[bytes | None], Any], params: dict[str, str] | None = None) -> Any:
    """Download a file and return what ``read`` makes of its body (None: not found).

    A ValueError from ``read`` causes a retry. The body is taken without undoing a content encoding: files of the bucket
    are gzipped themselves.
    """
    import httpx
    import tenacity

    url, failures = f"{BUCKET}/{path}", (httpx.HTTPError, ValueError)

    def transient(error: BaseException) -> bool:
        if isinstance(error, httpx.HTTPStatusError):
            return error.response.status_code in (408, 425, 429) or error.response.status_code >= 500
        return isinstance(error, failures)

    def fetch() -> Any:
        with client.stream("GET", url, params=params) as response:
            if response.status_code in (404, 410):
                return read(None)
            response.raise_for_status()
            return read(b"".join(response.iter_raw()))

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(transient),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(FIRST_WAIT, max=60),
        reraise=True,
    )
    try:
        return retrying(fetch)
    except failures as error:
        raise UserError(
            f"{url} cannot be fetched: {one_line(error) or type(error).__name__}. What was downloaded is kept: repeat "
            "the command or, without a network, give a file or folder of labels."
        ) from error
