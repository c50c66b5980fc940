"""The requests of explorer_load.py: what clients of the explorer's server ask for, and how they read the answers."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from competency_gaps.view.page.opened import open_runs
from competency_gaps.view.page.page_files import FILES

DETAILS = 1000
"""Details of concepts and items that are asked for."""
SIP = 4096
"""Bytes that a slow reader takes at a time."""
SLOWEST = 8.0
"""Seconds after which a slow reader closes the connection."""


class Target(NamedTuple):
    """Where requests go."""

    port: int
    key: str
    tables: list[str]
    """Names of parts, the large ones among them."""
    details: list[str]
    """Names of details of concepts and items."""
    words: list[str]


def what_to_ask(run: Path, port: int, rng: random.Random) -> Target:
    """Choose parts of the run, a few thousand details among them, and words to search for."""
    opened = open_runs([run])[0]
    names = list(opened.now().parts.names())
    whole = [name for name in names if "/" not in name or name.startswith("concepts/")]
    details = [name for name in names if name not in set(whole)]
    chosen = rng.sample(details, min(DETAILS, len(details)))
    prompts = opened.run.scan("items").select("prompt").head(200).collect()["prompt"].drop_nulls().to_list()
    words = [rng.choice(prompt.split() or [""])[:50] for prompt in prompts] or ["a"]
    return Target(port, opened.key, whole, chosen, words)


async def connect(port: int, *, slow: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection; that of a slow reader holds few bytes on this side, so that the rest waits in the server."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    if slow:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SIP)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return await asyncio.open_connection(sock=sock, limit=SIP if slow else 2**20)
    except BaseException:
        sock.close()
        raise


async def head(reader: asyncio.StreamReader) -> tuple[int, int | None]:
    """Status and length of an answer; None: it ends with the connection."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    lengths = [int(line.split(":")[1]) for line in lines if line.startswith("content-length:")]
    return int(lines[0].split()[1]), lengths[0] if lengths else None


async def sip(reader: asyncio.StreamReader, length: int, rng: random.Random) -> None:
    """Read a few kilobytes at a time, and close when it takes too long."""
    end = time.monotonic() + rng.uniform(1, SLOWEST)
    while length > 0 and time.monotonic() < end:
        length -= len(await reader.readexactly(min(SIP, length)))
        await asyncio.sleep(rng.uniform(0, 0.5))


async def break_off(reader: asyncio.StreamReader, rng: random.Random) -> None:
    """Leave at once, a little later, behind the head of the answer, or in the middle of it."""
    where = rng.randrange(4)
    if where == 1:
        await asyncio.sleep(rng.uniform(0, 0.05))
    elif where >= 2:
        _, length = await head(reader)
        if where == 3:
            await reader.readexactly((length or 0) // 2)


def sense(target: Target, rng: random.Random, *, large: bool) -> bytes:
    """A request as the page makes it; slow readers take tables, which the server cannot send at once."""
    path = f"/data/{target.key}/"
    drawn = 0.0 if large else rng.random()
    if drawn < 0.05:
        path += rng.choice(target.tables)
    elif drawn < 0.1:
        path = rng.choice(["/", *(f"/{name}" for name in FILES if name != "index.html"), "/data/runs.json"])
    elif drawn < 0.2:
        path += f"search?q={quote(rng.choice(target.words), safe='')}"
    else:
        # Half of them are of a few details, as of the first rows of a table.
        path += rng.choice(target.details if drawn < 0.6 else target.details[:50])
    return get(target.port, path)


def nonsense(target: Target, rng: random.Random) -> tuple[bytes, tuple[int, ...]]:
    """A request that is refused, and the statuses with which."""
    port, own = target.port, f"/data/{target.key}"
    cases = [
        (get(port, f"{own}/concept/999999999.json"), (404,)),
        (get(port, f"{own}/concept/-1.json"), (404,)),
        (get(port, f"{own}/item/00.json"), (404,)),
        (get(port, f"{own}/../../etc/passwd"), (404,)),
        (get(port, f"{own}/%2e%2e%2fmanifest.json"), (404,)),
        (get(port, f"{own}/concept/1.json%00"), (404,)),
        (get(port, "/data/no-such-run/run.json"), (404,)),
        (get(port, "/data/no-such-run/search?q=a"), (404,)),
        (get(port, f"{own}/search?q={'a' * 2000}"), (400,)),
        (get(port, f"{own}/search?q={'a' * 5000}"), (414,)),
        (get(port, "/nothing"), (404,)),
        (get(port, f"{own}/run.json", method="POST"), (405,)),
        (get(port, f"{own}/run.json", "Transfer-Encoding: chunked"), (411,)),
        (get(port, "/", "Origin: http://elsewhere.invalid"), (403,)),
        (get(port, "/", host="elsewhere.invalid"), (421,)),
        (rng.randbytes(200).replace(b"\n", b"") + b"\r\n\r\n", (400,)),
        (b"GET / HTTP/9.9\r\n\r\n", (400, 421, 505)),
    ]
    return rng.choice(cases)


def get(port: int, path: str, *headers: str, method: str = "GET", host: str = "") -> bytes:
    """A request."""
    lines = (f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{port}'}", *headers, "Connection: close")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
