"""Print how large the project is: code lines (no blanks, comments, docstrings), commands, options and words.

Run it from the project's root: ``python recipes/size.py``.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

QUIET = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
"""Code and screens; pages that are made with the site are not kept."""


def python_lines(text: str) -> int:
    """Count lines with a token on them that belongs to no docstring (of a field either)."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in QUIET:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def script_lines(text: str) -> int:
    """Count lines of TypeScript that are neither blank nor comment."""
    lines = re.sub(r"(?s)/\*.*?\*/", "", text).splitlines()
    return sum(not line.strip().startswith("//") for line in lines if line.strip())


def commands() -> tuple[int, int]:
    """Count every leaf command, and every option of each but ``--help``."""
    import typer

    from competency_gaps.cli.app import app

    leaves, waiting = [], [typer.main.get_command(app)]
    while waiting:
        command = waiting.pop()
        below = list(getattr(command, "commands", {}).values())
        waiting += below
        leaves += [] if below else [command]
    options = [p for leaf in leaves for p in leaf.params if p.param_type_name == "option" and p.name != "help"]
    return len(leaves), len(options)


def main() -> None:
    """Print one line per measure."""
    for name in ("src", "tests"):
        files = sorted(Path(name).rglob("*.py"))
        print(
            f"{name}: {sum(python_lines(file.read_text('utf-8')) for file in files):,} code lines in {len(files)} files"
        )
    scripts = [file for file in Path("frontend").rglob("*.ts*") if "node_modules" not in file.parts]
    lines = sum(script_lines(file.read_text("utf-8")) for file in scripts)
    print(f"TypeScript: {lines:,} code lines in {len(scripts)} files")
    print("{} commands, {} options".format(*commands()))
    pages = [page for of in ("*.md", "docs/*.md", "*/README.md", "skills/**/*.md") for page in Path().glob(of)]
    texts = [page.read_text("utf-8") for page in pages]
    by_hand = sum(len(FENCED.sub("", text).split()) for text in texts)
    words = sum(len(text.split()) for text in texts)
    print(f"documents: {by_hand:,} words by hand, {words:,} with blocks of code and screens, in {len(pages)} files")


if __name__ == "__main__":
    main()
