"""Answers to clients that read slowly: whole, and never copied whole into a connection that is not read."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.responses import Response

from competency_gaps.explorer.server.sending import PIECE, Pieces

CONTENT = os.urandom(40 * PIECE + 7)


@contextmanager
def deaf_clients(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connections that ask and then read nothing."""
    clients = []
    try:
        for _ in range(count):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            clients.append(client)
        yield clients
    finally:
        for client in clients:
            client.close()


def waiting(kind: type[Response]) -> tuple[int, bytes]:
    """Bytes that wait in uvicorn's connections for three clients that do not read; then what the first reads."""
    import uvicorn

    async def run() -> tuple[int, bytes]:
        server = uvicorn.Server(uvicorn.Config(kind(CONTENT), log_config=None, lifespan="off", ws="none"))
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        with deaf_clients(listener.getsockname()[1], 3) as clients:
            await asyncio.sleep(0.3)
            held = sum(connection.transport.get_write_buffer_size() for connection in server.server_state.connections)
            answer = await asyncio.to_thread(_read, clients[0])
        server.should_exit = True
        await task
        listener.close()
        return held, answer

    return asyncio.run(run())


def _read(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(2**20), b""))


def test_a_client_that_does_not_read_holds_a_piece_and_not_the_whole():
    held, answer = waiting(Pieces)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == CONTENT
    assert f"content-length: {len(CONTENT)}".encode() in head.lower()
    assert 0 < held <= 3 * (PIECE + 2**17)
    assert waiting(Response)[0] > 2 * len(CONTENT)  # what it is compared with


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1])
def test_pieces_join_to_the_content(size: int):
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    async def nothing():
        raise AssertionError

    asyncio.run(Pieces(CONTENT[:size])({"type": "http"}, nothing, send))
    bodies = sent[1:]
    assert b"".join(message["body"] for message in bodies) == CONTENT[:size]
    assert [message["more_body"] for message in bodies] == [True] * (len(bodies) - 1) + [False]
