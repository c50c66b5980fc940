"""garak's command as a child process that asks the model through a local server of this package.

Only garak's command line, configuration file and report are used: a probe that crashes, logs, prints or changes its
environment does so in its own process.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from competency_gaps.errors import MissingExtraError, UserError, nearest
from competency_gaps.text import shorten, visible

Messages = tuple[tuple[str, str], ...]
"""(role, content) of each turn."""
AnswerFunction = Callable[[Messages], str | None]
"""Returns the model's answer to a conversation; None: it cannot be answered."""

POLL = 0.05
"""Interval between checks whether garak has ended, in seconds."""
# Without its server garak repeats a request for ever, so it exits when this process closes the pipe.
_START = """
import os, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
from garak.__main__ import main
main()
"""
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LISTED = re.compile(r"^probes: (\w+\.\w+)( \N{SLEEPING SYMBOL})?", re.MULTILINE)
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \S+  (\w+)  ", re.MULTILINE)


class Garak:
    """The installed garak, and the server that it sends requests to.

    Parameters
    ----------
    folder
        For everything that garak writes.
    online
        Whether plug-ins may reach other machines.

    Raises
    ------
    MissingExtraError
        If garak is not installed.
    """

    def __init__(self, folder: Path, *, online: bool) -> None:
        try:
            self.version = importlib.metadata.version("garak")
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingExtraError("garak", "garak", "Probing with garak") from error
        self.folder, self.online = folder.resolve(), online
        self.work = self.folder / "work"
        self._server = _Server()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Close the server."""
        self._server.server_close()

    def delete_files(self) -> None:
        """Delete garak's own files: configurations, logs, output, caches and reports of single probes."""
        shutil.rmtree(self.work)

    def run(self, arguments: list[str], place: Path, answer: AnswerFunction) -> int:
        """Run garak's command until it ends, and answer its requests; returns its exit status.

        Parameters
        ----------
        place
            Path without suffix: garak's log goes to ``.log``, its output to ``.txt``.
        """
        place.with_suffix(".log").unlink(missing_ok=True)
        self._server.answer = answer
        environment = {**os.environ, **self.environment(), "GARAK_LOG_FILE": str(place.with_suffix(".log"))}
        with place.with_suffix(".txt").open("wb") as printed:
            child = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *arguments],
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.folder,
            )
            try:
                while child.poll() is None:
                    self._server.handle_request()
            finally:
                child.kill()
                child.communicate()
        return child.returncode

    def environment(self) -> dict[str, str]:
        """Environment variables for garak's process, in addition to this process's own.

        Without ``online`` the hub's libraries use local files only, and all other requests go to a proxy that refuses
        them.
        """
        kinds = ("CONFIG", "DATA", "CACHE")
        wanted = {f"XDG_{kind}_HOME": str(self.work / "home" / kind.lower()) for kind in kinds}
        wanted |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONIOENCODING": "utf-8"}
        wanted["OPENAICOMPATIBLE_API_KEY"] = self._server.key
        if not self.online:
            wanted |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
            schemes = ("http", "https", "ftp", "all")
            wanted |= {name: self.url for s in schemes for name in (f"{s}_proxy", f"{s}_proxy".upper())}
        return wanted

    def probes(self, spec: str) -> tuple[list[str], list[str]]:
        """Names of the probes that a spec selects, as ``family.Class``, and its clauses on intents.

        Raises
        ------
        UserError
            If a part of it is unknown, selects no probe, or asks for buffs.
        """
        clauses = [_full(clause.strip()) for clause in spec.split(",") if clause.strip()]
        if any(clause.lstrip("+-").startswith("buffs.") for clause in clauses):
            raise UserError(
                "the spec names buffs, which rewrite the attacks: this is not supported. Leave out clauses that begin "
                "with 'buffs.'."
            )
        known = self._listed()
        active = {name.split(".")[0] for name, asleep in known.items() if not asleep}
        usable = {*known, *active, "*", "all", "none"}
        plain = [clause.lstrip("+-").removeprefix("probes.") for clause in clauses if ":" not in clause]
        unknown = [name for name in plain if name not in usable]
        names = [] if unknown or not clauses else sorted(self._listed("--spec", ",".join(clauses)))
        if not names:
            first = (unknown or [spec])[0]
            families = sorted({name.split(".")[0] for name in known})
            raise UserError(
                f"spec {spec!r}: garak {self.version} has no probe {first!r} that can be run."
                f"{nearest(first, [*families, *known])} Give families or classes as {families[0]},{next(iter(known))}, "
                f"or all. Families: {', '.join(families)}."
            )
        return names, [clause for clause in clauses if "intent:" in clause]

    def _listed(self, *arguments: str) -> dict[str, bool]:
        """Probes that garak lists, and whether selecting their family excludes them."""
        place = self.work / "list"
        self.work.mkdir(parents=True, exist_ok=True)
        status = self.run(["--list_probes", *arguments], place, lambda messages: None)
        if status:
            raise UserError(f"garak refuses {' '.join(arguments)}: {fault(place)}")
        return {name: bool(asleep) for name, asleep in _LISTED.findall(_printed(place))}


def _full(clause: str) -> str:
    """A clause with the prefix ``probes.``, which is optional before a name."""
    sign = clause[: len(clause) - len(clause.lstrip("+-"))]
    name = clause.removeprefix(sign)
    return clause if ":" in name or name.startswith(("probes.", "buffs.")) else f"{sign}probes.{name}"


def fault(place: Path, plugin: str = "") -> str:
    """The last fault that garak logged or printed; with a plug-in (a pattern of its name), why it could not be loaded,
    or an empty text if garak does not log that.
    """
    log = place.with_suffix(".log")
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    _, *parts = _LOGGED.split(text)
    faults = [text for level, text in zip(parts[::2], parts[1::2], strict=True) if level in ("WARNING", "ERROR")]
    if plugin:
        named = [match[0] for text in faults if (match := re.search(f"{plugin}: .*", text, re.DOTALL))]
        return _first_line(named[-1].removeprefix(f"{plugin}: ")) if named else ""
    printed = _printed(place)
    return (
        _last_line(printed) if not faults or "Traceback (most recent call last)" in printed else _first_line(faults[-1])
    )


def _printed(place: Path) -> str:
    return _COLOUR.sub("", place.with_suffix(".txt").read_text(encoding="utf-8", errors="replace"))


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if any(map(str.isalpha, line))]  # not a frame of stars
    return shorten(visible(lines[0]), 200) if lines else ""


def _last_line(text: str) -> str:
    return _first_line("\n".join(reversed(re.split(r"[\r\n]", text))))


class _Server(HTTPServer):
    """Chat completions as OpenAI serves them, for one client on this machine, one request at a time."""

    timeout = POLL

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = secrets.token_hex(16)
        self.answer: AnswerFunction = lambda messages: None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Raise faults of the model, but ignore a client that disconnects."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            raise


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server: _Server

    def do_POST(self) -> None:
        if self.headers["Authorization"] != f"Bearer {self.server.key}":
            self.send_error(401)
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = self.server.answer(tuple((turn["role"], turn["content"] or "") for turn in asked["messages"]))
        if text is None:
            self.send_error(422, "this conversation cannot be answered")  # garak logs a whole traceback of a 400
            return
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        facts = {"id": "answer", "object": "chat.completion", "created": 0, "model": asked["model"]}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({**facts, "choices": [choice]}).encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""
