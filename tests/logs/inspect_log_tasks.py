"""Real Inspect logs of small local tasks: ``python inspect_log_tasks.py FOLDER`` (a program of its own)."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

QUESTIONS = [
    {
        "id": f"q{i}",
        "question": f"What is {i} plus {i}?",
        "options": [str(2 * i), str(2 * i + 1), "no idea"],
        "gold": "AB"[i % 2],
    }
    for i in range(6)
]
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
FAILS = "q3"
"""Fails in its first epoch."""


calls = itertools.count()


def answer(messages, tools, tool_choice, config):
    """A model that answers otherwise from one epoch to the next."""
    from inspect_ai.model import ModelOutput, ModelUsage

    number = sum(map(ord, messages[-1].text)) + next(calls) // 4
    output = ModelOutput.from_content("mockllm", f"It is clear.\nANSWER: {'ABC'[number % 3]}")
    # Counting tokens of a mock model would fetch a tokenizer.
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return output


def tasks(folder: Path):
    """Every task, by the name of the folder that its logs go to."""
    from inspect_ai import Epochs, Task, task
    from inspect_ai.dataset import FieldSpec, MemoryDataset, Sample, json_dataset
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser
    from inspect_ai.scorer import Score, accuracy, choice, includes, mean, scorer
    from inspect_ai.solver import generate, multiple_choice, prompt_template, solver, system_message

    folder.mkdir(exist_ok=True)
    questions = folder / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))

    @scorer(metrics={"length": [mean()], "clear": [mean()]})
    def parts():
        async def score(state, target):
            text = state.output.completion
            return Score(value={"length": len(state.user_prompt.text) / 1000, "clear": "clear" in text})

        return score

    @scorer(metrics=[accuracy()])
    def moods():
        values = {1: "C", 2: "P", 3: "N", 4: "I", 5: "no", 6: "0.25", 7: True}

        async def score(state, target):
            value = values.get(state.sample_id)
            return Score.unscored(reason="grader_failed") if value is None else Score(value=value)

        return score

    @solver
    def fails(only_first: bool = True):
        async def solve(state, generate):
            if state.sample_id == FAILS and (state.epoch == 1 or not only_first):
                raise RuntimeError("broken on purpose")
            return state

        return solve

    @solver
    def asks_again():
        async def solve(state, generate):
            state = await generate(state)
            state.messages.append(ChatMessageUser(content="Are you sure?"))
            return await generate(state)

        return solve

    def dataset():
        fields = FieldSpec(id="id", input="question", target="gold", choices="options")
        return json_dataset(str(questions), fields)

    @task
    def quiz():
        steps = [fails(), system_message("You are terse."), multiple_choice()]
        return Task(dataset(), solver=steps, scorer=[choice(), parts()], epochs=Epochs(2, "mean"), fail_on_error=False)

    @task
    def broken():
        return Task(dataset(), solver=[fails(only_first=False), multiple_choice()], scorer=choice(), fail_on_error=True)

    @task
    def mixed():
        samples = [Sample(input=f"Say {word}.", target="clear") for word in WORDS]
        steps = [prompt_template("Think first.\n{prompt}\nNow answer."), generate()]
        return Task(MemoryDataset(samples), solver=steps, scorer=[moods(), includes()])

    @task
    def examples():
        shots = [ChatMessageUser(content="1 plus 1?"), ChatMessageAssistant(content="2")]
        samples = [Sample(input=[*shots, ChatMessageUser(content=f"{i} plus 1?")], target="clear") for i in range(3)]
        return Task(MemoryDataset(samples), solver=[asks_again()], scorer=includes())

    return {"quiz": quiz, "broken": broken, "mixed": mixed, "examples": examples}


def main(folder: Path) -> None:
    """Run every task and leave its logs: ``eval/TASK``, and the same as JSON in ``json/TASK``."""
    from inspect_ai import eval as run
    from inspect_ai.log import read_eval_log, write_eval_log
    from inspect_ai.model import get_model

    model = get_model("mockllm/model", custom_outputs=answer)
    for name, task in tasks(folder).items():
        (log,) = run(task(), model=model, log_dir=str(folder / "eval" / name), display="none")
        path = folder / "json" / name / Path(log.location).with_suffix(".json").name
        path.parent.mkdir(parents=True)
        write_eval_log(read_eval_log(log.location), str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
