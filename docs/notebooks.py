"""Run the notebooks of examples/ and keep what their cells show; make_site.py puts them on the site as Markdown.

    python docs/notebooks.py [--check]

They run one after the other in an empty folder, the second on the run that the first makes. ``--check`` writes nothing:
a cell that fails, fails. A notebook's kernel is not needed: a cell is Python with lines of ``!cgaps ...``.
"""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTEBOOKS = {name: EXAMPLES / f"{name}.ipynb" for name in ("logs-to-findings", "many-models", "saelens")}
CGAPS = [sys.executable, "-c", "from competency_gaps.cli.app import main; main()"]


def read(path: Path) -> dict[str, Any]:
    """A notebook."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def shell(command: str) -> None:
    """Run a line ``!cgaps ...`` and print what it prints."""
    words = shlex.split(command)
    program = CGAPS if words[0] == "cgaps" else words[:1]
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run([*program, *words[1:]], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    print(done.stdout.replace(f"{Path.cwd()}/", "").rstrip())


def execute(notebook: dict[str, Any]) -> None:
    """Run a notebook's cells here and put into each what it shows."""
    names: dict[str, Any] = {"_shell": shell}
    for number, cell in enumerate(one for one in notebook["cells"] if one["cell_type"] == "code"):
        lines = "".join(cell["source"]).splitlines()
        tree = ast.parse("\n".join(f"_shell({line[1:]!r})" if line.startswith("!") else line for line in lines))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with redirect_stdout(StringIO()) as printed:
            exec(compile(tree, "cell", "exec"), names)
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last is not None else None  # noqa: S307
        cell["execution_count"] = number + 1
        cell["outputs"] = outputs(printed.getvalue(), value, number + 1)


def outputs(printed: str, value: Any, number: int) -> list[dict[str, Any]]:
    """What a cell shows, in a notebook's form."""
    shown: list[dict[str, Any]] = []
    if printed:
        shown.append({"output_type": "stream", "name": "stdout", "text": printed.splitlines(keepends=True)})
    if value is not None:
        forms = {"text/plain": repr, "text/html": getattr(value, "_repr_html_", None) and type(value)._repr_html_}
        here = f"{Path.cwd()}/"
        data = {kind: of(value).replace(here, "").splitlines(keepends=True) for kind, of in forms.items() if of}
        shown.append({"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}})
    return shown


def markdown(path: Path) -> str:
    """A notebook with what its cells show, as a page."""
    parts = []
    for cell in read(path)["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = "".join(output.get("text", data.get("text/plain", "")))
            parts.append("".join(data["text/html"]) if "text/html" in data else f"```text\n{text.rstrip()}\n```")
    parts.append(f"*The notebook: `examples/{path.name}`.*")
    return "\n\n".join(parts)


def main(folder: Path, names: Iterable[str] = NOTEBOOKS, *, write: bool) -> None:
    """Run notebooks in a folder, in order."""
    sys.path.append(str(EXAMPLES))
    with chdir(folder):
        for path in map(NOTEBOOKS.__getitem__, names):
            notebook = read(path)
            execute(notebook)
            if write:
                path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        main(Path(empty), write="--check" not in sys.argv[1:])
