"""The MCP server, over the protocol's own client."""

from __future__ import annotations

import asyncio
import json

from competency_gaps import open_run
from competency_gaps.view.page.mcp_server import make_server
from competency_gaps.view.page.opened import open_runs
from competency_gaps.view.page.tools import TOOLS, ask


def talk(paths, questions):
    """Tools of a server in this process, and its answers to questions."""
    from mcp import Client

    async def run():
        async with Client(make_server(open_runs(paths))) as client:
            tools = (await client.list_tools()).tools
            return tools, [await client.call_tool(name, given) for name, given in questions]

    return asyncio.run(run())


def test_tools_answer_as_they_do_in_python(hostile):
    questions = [("answer", {}), ("answer", {"number": 1}), ("concept", {"number": 3}), ("concept", {"number": -1})]
    tools, answers = talk([hostile.run], questions)
    assert {tool.name for tool in tools} == set(TOOLS) and all(tool.annotations.read_only_hint for tool in tools)
    run = open_run(hostile.run)
    for (name, given), answer in zip(questions, answers, strict=True):
        assert answer.structured_content == json.loads(answer.content[0].text) == ask(run, name, given)
    assert [answer.is_error for answer in answers] == [False, False, False, True]


def test_several_runs_are_asked_by_their_keys(hostile, bare):
    tools, answers = talk([hostile.run, bare.run], [("overview", {"run": "run-2"}), ("overview", {})])
    assert all(tool.input_schema["required"][0] == "run" for tool in tools)
    assert answers[0].structured_content == ask(open_run(bare.run), "overview", {}) and answers[1].is_error
