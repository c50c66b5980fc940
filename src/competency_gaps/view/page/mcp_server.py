"""The tools about runs as an MCP server, so that assistants can ask them."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import anyio.to_thread
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from competency_gaps.util.errors import CompetencyGapsError
from competency_gaps.util.text import shorten, visible
from competency_gaps.view.page.opened import Opened
from competency_gaps.view.page.tools import INSTRUCTIONS, TOOLS, description, schema

log = logging.getLogger(__name__)


def make_server(opened: Sequence[Opened]) -> Server[Any]:
    """Make the server.

    Parameters
    ----------
    opened
        The runs to answer questions about, at least one. With several, each tool takes the key of one.
    """
    runs = {run.key: run for run in opened}
    hints = types.ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        """Describe all tools."""
        tools = [
            types.Tool(name=name, description=description(name), input_schema=_schema(name, runs), annotations=hints)
            for name in TOOLS
        ]
        return types.ListToolsResult(tools=tools)

    async def call_tool(_: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
        """Run one tool in a thread."""
        result = await anyio.to_thread.run_sync(_answer, runs, asked.name, dict(asked.arguments or {}))
        text = types.TextContent(text=json.dumps(result, ensure_ascii=False, allow_nan=False))
        return types.CallToolResult(content=[text], structured_content=result, is_error="error" in result)

    return Server(
        "competency-gaps",
        version=version("competency-gaps"),
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(server: Server[Any]) -> None:
    """Serve on standard input and output until the input ends."""
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def _schema(name: str, runs: dict[str, Opened]) -> dict[str, Any]:
    """A tool's schema with the run to ask, where there are several."""
    parameters = schema(name)
    if len(runs) > 1:
        described = "; ".join(f"{key}: {shorten(run.title, 100)}" for key, run in runs.items())
        run = {"type": "string", "enum": list(runs), "description": f"Which run to ask. {described}"}
        parameters["properties"] = {"run": run, **parameters.get("properties", {})}
        parameters["required"] = ["run", *parameters.get("required", [])]
    return parameters


def _answer(runs: dict[str, Opened], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer a call of a tool about the run that it names; errors are answers too."""
    key = next(iter(runs)) if len(runs) == 1 else arguments.pop("run", None)
    if key not in runs:
        return {"error": f"run: expected one of {', '.join(runs)}, not {shorten(repr(key), 60)}."}
    try:
        return runs[key].ask(name, arguments, "cgaps mcp")
    except CompetencyGapsError as error:
        return {"error": visible(str(error))}
    except Exception as error:
        log.exception("%s of %s failed", name, key)
        return {"error": f"The server failed ({type(error).__name__}); its log says more."}
