"""The command line: one command per question, the same few options everywhere.

With ``--json`` one JSON document goes to standard output and nothing else; progress and messages go to standard error.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler

from competency_gaps.cli import analysis, concepts, explore, improve, run, show, sources
from competency_gaps.cli.shared import option_name, typed_command
from competency_gaps.util.errors import MachineError, UserError, spelling
from competency_gaps.util.text import visible

_INTERRUPTED = 130
"""The status that typer returns for Ctrl-C instead of raising."""

EPILOG = (
    "Exit status: 0 done; 1 failed (finished work is kept); 2 wrong usage or input; with compare --fail-on also "
    "3 regression and 4 not comparable."
)

app = typer.Typer(
    name="cgaps",
    help="Where is a language model weak, and what do its benchmarks fail to test?\n\n"
    "\b\nTry it:           cgaps demo\nLogs:             cgaps show out/\n"
    "Two checkpoints:  cgaps compare out/NEW out/OLD\nA benchmark:      cgaps run --benchmark quiz.jsonl --out RUN",
    epilog=EPILOG,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
concepts_app = typer.Typer(invoke_without_command=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        from competency_gaps import __version__

        sys.stdout.write(f"competency-gaps {__version__}\n")
        raise typer.Exit


@app.callback()
def cgaps(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Print the help when no command is given."""
    context.with_resource(spelling(option_name))
    _help_alone(context)


@concepts_app.callback()
def concepts_group(context: typer.Context) -> None:
    """Describe an SAE's concepts; measure or train an SAE."""
    _help_alone(context)


def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help())


COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "How do I make a run?": (run.demo, sources.sae, sources.logs, run.run),
    "Where is the model weak?": (show.show, explore.explore, explore.export, explore.mcp),
    "Can I trust it?": (analysis.check,),
    "How do other models compare?": (analysis.score, analysis.compare),
    "What does the benchmark miss?": (analysis.coverage, analysis.match),
    "How can the benchmark be improved?": (improve.improve,),
}
"""Commands by question, in the order in which users ask them."""
for question, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=question)(command)
DICTIONARY: tuple[Callable[..., None], ...] = (
    *(concepts.exemplars, concepts.label, concepts.atlas, concepts.name),
    *(concepts.reference, concepts.train_sae),
)
for command in DICTIONARY:
    concepts_app.command(command.__name__.replace("_", "-"))(command)
app.add_typer(concepts_app, name="concepts", rich_help_panel="What do the concepts mean?")


def main() -> None:
    """Run the command line and exit."""
    stderr = Console(stderr=True)
    _quiet_libraries(stderr)
    try:
        status = app(standalone_mode=False)
        if status == _INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(status if isinstance(status, int) else 0)
    except UserError as error:
        _fail(stderr, f"error: {error}", 2)
    except MachineError as error:
        _fail(stderr, f"failed: {error}", 1)
    except typer.Abort:
        sys.exit(1)
    except KeyboardInterrupt:
        stderr.print(f"stopped. Finished work is kept; resume with: {typed_command()}", markup=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        if os.environ.get("CGAPS_TRACEBACK"):
            raise
        usage = _usage_message(error)
        if usage is not None:
            _fail(stderr, f"error: {usage}", 2)
        _fail(stderr, f"failed: {type(error).__name__}: {error}\nSet CGAPS_TRACEBACK=1 for the traceback.", 1)


def _fail(stderr: Console, text: str, status: int) -> NoReturn:
    stderr.print(visible(text), style="bold red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(status)


def _usage_message(error: Exception) -> str | None:
    """Return the message for a mistake on the command line (unknown option, missing argument); None for other
    errors.
    """
    format_message = getattr(error, "format_message", None)
    return str(format_message()).replace("Value error, ", "") if callable(format_message) else None


def _quiet_libraries(console: Console) -> None:
    """Send our warnings to standard error in one form, and silence what the libraries log."""
    handler = RichHandler(console=console, show_time=False, show_path=False, markup=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    for name in ("transformers", "sae_lens", "datasets", "httpx", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="(transformers|sae_lens|transformer_lens|torch).*")
