"""``cgaps mcp``: finished runs for assistants that speak the Model Context Protocol."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli.options import ConfiguredDictionary
from competency_gaps.errors import MissingExtraError


def mcp(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    dictionary: ConfiguredDictionary = None,
) -> None:
    """Answer an assistant's read-only queries about runs, over standard input and output (MCP)."""
    if importlib.util.find_spec("mcp") is None:
        raise MissingExtraError("mcp", "explore", "'cgaps mcp'")
    import anyio

    from competency_gaps.explorer.mcp_server import make_server, serve_stdio
    from competency_gaps.explorer.opened import open_runs

    anyio.run(serve_stdio, make_server(open_runs(runs, dictionary)))
