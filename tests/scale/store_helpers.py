"""What lies in a store, read and changed without what is tested."""

from __future__ import annotations

import os
from pathlib import Path


def contents(address: str) -> dict[str, bytes]:
    """All that lies in a store, by name, read without what is tested."""
    scheme, _, place = address.partition("://")
    if scheme == "file":
        return {str(p.relative_to(place)): p.read_bytes() for p in Path(place).rglob("*") if p.is_file()}
    if scheme == "memory":
        from fsspec.implementations.memory import MemoryFileSystem

        start = f"/{place}/"
        known = MemoryFileSystem.store.items()
        return {name.removeprefix(start): held.getvalue() for name, held in known if name.startswith(start)}
    client, (bucket, _, prefix) = _client(), place.partition("/")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key.removeprefix(f"{prefix}/"): client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def put(address: str, name: str, content: bytes | None) -> None:
    """Change a file in a store behind its back, or remove it."""
    scheme, _, place = address.partition("://")
    if scheme == "file":
        path = Path(place) / name
        path.unlink(missing_ok=True)
        if content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    elif scheme == "memory":
        from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

        MemoryFileSystem.store.pop(f"/{place}/{name}", None)
        if content is not None:
            MemoryFileSystem.store[f"/{place}/{name}"] = MemoryFile(None, f"/{place}/{name}", content)
    else:
        bucket, _, prefix = place.partition("/")
        if content is None:
            _client().delete_object(Bucket=bucket, Key=f"{prefix}/{name}")
        else:
            _client().put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=content)


def _client():
    import boto3

    return boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"])
