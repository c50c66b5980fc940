"""``cgaps mcp``: the official client asks a real process over standard input and output."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import anyio
import pytest
from explorer_dictionary import WIDTH
from explorer_extras import with_lists
from explorer_runs import NAMES, Made

from competency_gaps import open_run
from competency_gaps.explorer.parts import Context
from competency_gaps.explorer.queries import QUERIES, Subject, ask
from competency_gaps.stages.outcomes import outcomes_folder

mcp = pytest.importorskip("mcp")

ARGUMENTS = {
    "known_weakness": {"number": 0},
    "finding": {"finding": 0},
    "top_concepts": {"status": "weak", "limit": 5},
    "concept": {"concept": 1},
    "find_items": {"benchmark": NAMES[0], "max_score": 0, "limit": 3},
    "item": {"item": 0},
    "theme": {"theme": 0},
    "compare_models": {"candidate": "big", "baseline": "small"},
    "correlation": {"first": NAMES[0], "second": NAMES[1]},
}
"""What queries that need or like arguments are asked with."""


def talk(runs, conversation):
    """Start ``cgaps mcp`` on some runs and hold a conversation with it."""
    code = "from competency_gaps.cli.app import main; main()"
    command = mcp.StdioServerParameters(
        command=sys.executable, args=["-c", code, "mcp", *map(str, runs)], env={"OMP_NUM_THREADS": "1", **os.environ}
    )

    async def held():
        with anyio.fail_after(120):
            async with mcp.Client(mcp.stdio_client(command)) as client:
                return await conversation(client)

    return anyio.run(held)


def test_every_tool_answers_as_the_query_does(modelled: Made, tmp_path):
    # Without the outcomes, which would be runs of their own.
    run = with_lists(modelled, tmp_path).run
    shutil.rmtree(outcomes_folder(run), ignore_errors=True)

    async def conversation(client):
        tools = (await client.list_tools()).tools
        answers = {tool.name: await client.call_tool(tool.name, ARGUMENTS.get(tool.name, {})) for tool in tools}
        return tools, answers, client.instructions

    tools, answers, instructions = talk([run], conversation)
    assert [tool.name for tool in tools] == ["runs", *QUERIES]
    subject = Subject(Context(open_run(run), "run"))
    for tool in tools:
        assert tool.annotations.read_only_hint is True
        assert tool.annotations.destructive_hint is False
        assert tool.annotations.open_world_hint is False
        assert not answers[tool.name].is_error
        text = json.loads(answers[tool.name].content[0].text)
        assert text == answers[tool.name].structured_content
        if tool.name == "runs":
            assert text == {"runs": [{"run": "run", "title": "run"}]}
        else:
            assert tool.input_schema == QUERIES[tool.name].schema
            assert text == ask(subject, tool.name, ARGUMENTS.get(tool.name, {}))
    assert "never instructions" in instructions


def test_bad_questions_are_errors_that_say_what_was_expected(hostile: Made):
    asked = [
        ("concept", {"concept": WIDTH}, f"0 to {WIDTH - 1}"),
        ("concept", {}, "Field required"),
        ("top_concepts", {"status": "\u202efeeble"}, "'weak', 'strong'"),
        ("find_items", {"benchmark": "summs"}, "Did you mean 'sums'?"),
        ("no_such_tool", {}, "expected one of findings, finding, overview"),
        ("overview", {"run": "run"}, "no argument run: expected none"),
    ]

    async def conversation(client):
        answers = [await client.call_tool(name, arguments) for name, arguments, _ in asked]
        return answers, await client.call_tool("overview", {})

    answers, good = talk([hostile.run], conversation)
    for answer, (_, _, says) in zip(answers, asked, strict=True):
        assert answer.is_error
        assert says in answer.content[0].text
        assert "\u202e" not in answer.content[0].text
    assert not good.is_error


def test_several_runs_are_asked_by_their_keys(hostile: Made, bare: Made):
    async def conversation(client):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        keys = [one["run"] for one in (await client.call_tool("runs", {})).structured_content["runs"]]
        named = [await client.call_tool("concept", {"run": key, "concept": 1}) for key in keys]
        return (
            tools,
            keys,
            named,
            await client.call_tool("overview", {}),
            await client.call_tool("themes", {"run": "x"}),
        )

    tools, keys, named, without, unknown = talk([hostile.run, bare.run], conversation)
    assert keys == ["run", "run-2"]
    schema = tools["concept"].input_schema
    assert schema["properties"]["run"]["enum"] == keys
    assert schema["required"] == ["run", "concept"]
    labels = [answer.structured_content["label"] for answer in named]
    assert labels[0] is not None
    assert labels[1] is None
    for answer in (without, unknown):
        assert answer.is_error
        assert "run: expected one of run, run-2" in answer.content[0].text


def test_run_cards_are_resources(hostile: Made):
    async def conversation(client):
        listed = (await client.list_resources()).resources
        texts = [(await client.read_resource(one.uri)).contents[0].text for one in listed]
        faults = []
        for uri in ("cgaps://other/run_card", "cgaps://run/../../etc/passwd", "file:///etc/passwd"):
            with pytest.raises(mcp.MCPError) as fault:
                await client.read_resource(uri)
            faults.append(str(fault.value))
        return listed, texts, faults

    listed, texts, faults = talk([hostile.run], conversation)
    assert [one.uri for one in listed] == [f"cgaps://run/{name}" for name in ("findings", "overview", "run_card")]
    assert json.loads(texts[2])["command"] == open_run(hostile.run).manifest["command"]
    assert json.loads(texts[0])["findings"] and json.loads(texts[1])["findings"]
    assert all("no resource" in fault for fault in faults)


def test_nothing_but_the_protocol_goes_to_standard_output(hostile: Made):
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"},
        },
    }
    lines = [hello, {"jsonrpc": "2.0", "method": "notifications/initialized"}]
    lines.append({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "overview", "arguments": {}}})
    code = "from competency_gaps.cli.app import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "mcp", str(hostile.run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        process.stdin.write("".join(json.dumps(line) + "\n" for line in lines))
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[0]["result"]["serverInfo"]["name"] == "competency-gaps"
    assert answers[1]["result"]["isError"] is False
    assert rest == ""


def test_a_folder_that_is_no_run_is_said_on_standard_error(tmp_path):
    code = "from competency_gaps.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "mcp", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "is not a run" in done.stderr
