"""garak in this process: where it keeps its files, what it may reach, and which of its plugins can be used."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import logging
import os
import socket
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.errors import MissingExtraError, UserError, nearest

if TYPE_CHECKING:
    from competency_gaps.harnesses.garak.target import Messages, Target

MODULE = "garak.generators.competency_gaps"
"""Where garak finds our generator by its name."""
_NEW_FORM = ("probes.", "buffs.", "tag:", "tier:", "intent:", "-", "+")
"""How a clause of garak's newer specs begins; others are names as ``dan`` or ``dan.Dan_11_0``."""
PLUGIN_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What plugins raise where a model, a file, a key or a server is not there, or an answer is of a form that they did not
foresee; garak's own errors come beside them."""


@dataclass(frozen=True)
class Usable:
    """A probe with the detectors that can be loaded."""

    name: str
    """``family.Class``."""
    probe: Any
    detectors: tuple[Any, ...]
    missing: dict[str, str]
    """Detectors beside the first that cannot be loaded, and why."""


@contextlib.contextmanager
def at_home(folder: Path, *, online: bool) -> Iterator[Any]:
    """Import garak with all its files inside a folder; gives its configuration module.

    Without ``online`` the hub's libraries are told that there is no network, and no name but this machine's is looked
    up (some plugins fetch from elsewhere), so that what is not on this machine is missed at once.

    Raises
    ------
    MissingExtraError
        If garak is not installed.
    """
    home = folder.resolve() / "home"
    kinds = ("config", "data", "cache")
    wanted = {f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in kinds}
    wanted["GARAK_LOG_FILE"] = str(folder.resolve() / "garak.log")
    if not online:
        wanted |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    for kind in kinds:
        (home / kind / "garak").mkdir(parents=True, exist_ok=True)
    with _environment(wanted), _logging_to(folder / "garak.log"), _hub(online=online), _names(online=online):
        try:
            from garak import _config
        except ImportError as error:
            raise MissingExtraError(error.name or "garak", "garak", "Probing with garak") from error
        # Set again: garak reads the environment once, when it is first imported.
        for kind in kinds:
            setattr(_config.transient, f"{kind}_dir", home / kind / "garak")
        yield _config


@contextlib.contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """garak logs to the root logger and sets it up by itself; both stay in its file while it runs."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    own = logging.FileHandler(file, encoding="utf-8")
    own.setFormatter(logging.Formatter("%(asctime)s  %(levelname)s  %(message)s"))
    root.handlers[:] = [own]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        own.close()


@contextlib.contextmanager
def _hub(*, online: bool) -> Iterator[None]:
    """The hub's libraries read the environment when they are imported, which may be long ago."""
    places = [
        (module, name)
        for module_name, name in (
            ("huggingface_hub.constants", "HF_HUB_OFFLINE"),
            ("datasets.config", "HF_HUB_OFFLINE"),
        )
        if (module := sys.modules.get(module_name)) is not None and hasattr(module, name)
    ]
    before = [getattr(module, name) for module, name in places]
    try:
        if not online:
            for module, name in places:
                setattr(module, name, True)
        yield
    finally:
        for (module, name), value in zip(places, before, strict=True):
            setattr(module, name, value)


@contextlib.contextmanager
def _names(*, online: bool) -> Iterator[None]:
    """Without ``online``, no other machine's name has an address."""
    if online:
        yield
        return
    known = socket.getaddrinfo

    def own_only(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name in (None, "", "localhost", "127.0.0.1", "::1"):
            return known(host, *arguments, **options)
        raise socket.gaierror(socket.EAI_NONAME, f"{name} is not asked without --online")

    socket.getaddrinfo = own_only
    try:
        yield
    finally:
        socket.getaddrinfo = known


def configure(
    config: Any, *, name: str, generations: int, threshold: float, seed: int, extended: bool, report: Path
) -> None:
    """Set garak up as its command line would, without its site's configuration."""
    config.load_base_config()
    config.transient.starttime = datetime.datetime.now()
    config.transient.starttime_iso = config.transient.starttime.isoformat()
    config.transient.cli_args = argparse.Namespace()
    config.transient.hitlogfile = None
    config.system.lite = False  # else it hints at its own command line
    config.system.verbose = 0
    config.system.narrow_output = False
    config.system.parallel_attempts = config.system.parallel_requests = False
    config.run.generations, config.run.eval_threshold, config.run.seed = generations, threshold, seed
    config.plugins.target_type, config.plugins.target_name = "competency_gaps", name
    config.plugins.extended_detectors = extended
    config.buffmanager.buffs = []
    config.reporting.report_dir = str(report.parent.resolve())
    config.reporting.report_prefix = report.name.removesuffix(".report.jsonl")


def chosen_probes(config: Any, spec: str) -> list[str]:
    """Names of the probes that a spec means, as ``probes.family.Class``.

    Raises
    ------
    UserError
        If a part of it is unknown, means no probe, or asks for buffs.
    """
    from garak import _plugins

    clauses = [clause.strip() for clause in spec.split(",") if clause.strip()]
    if any(clause.startswith(_NEW_FORM) for clause in clauses):
        names, unknown = _by_new_form(config, clauses)
    else:
        wanted = ["all"] if spec.strip().lower() in ("all", "*") else clauses
        found, unknown = config.parse_plugin_spec(",".join(wanted), "probes")
        names = list(found)
    if unknown or not names:
        known = [name.removeprefix("probes.") for name, _ in _plugins.enumerate_plugins("probes")]
        families = sorted({name.split(".")[0] for name in known})
        first = str((unknown or clauses or [""])[0]).removeprefix("probes.")
        raise UserError(
            f"--spec {spec!r}: garak {_version()} has no probe {first!r} that can be run."
            f"{nearest(first, [*families, *known])} Give families or classes as {families[0]},{known[0]}, or all. "
            f"Families: {', '.join(families)}."
        )
    config.transient.active_probes = sorted(names)
    return sorted(names)


def _by_new_form(config: Any, clauses: list[str]) -> tuple[list[str], list[str]]:
    try:
        from garak import _selection, _spec
    except ImportError:
        raise UserError(
            f"--spec {','.join(clauses)!r} has the form of a newer garak than {_version()}: give names, as "
            "dan.Dan_11_0."
        ) from None
    try:
        resolved = _selection.resolve_spec(_spec.parse_spec_string(",".join(clauses)), skip_unknown=True)
    except ValueError as error:
        raise UserError(f"--spec {','.join(clauses)!r}: {error}.") from error
    if resolved.buffs:
        raise UserError(
            "--spec: buffs rewrite the attacks, which is not supported. Leave out what begins with 'buffs.'."
        )
    config.transient.intent_spec = ",".join(resolved.intents)
    config.transient.blocked_intent_spec = ",".join(resolved.blocked_intents)
    return list(resolved.probes), [*resolved.rejected, *resolved.inactive]


def _version() -> str:
    import garak

    return str(garak.__version__)


def load_probe(name: str, *, extended: bool) -> Usable | str:
    """A probe ready to run, or why it cannot: it needs what is not on this machine, or more than text."""
    from garak import _plugins
    from garak.exception import GarakException

    short = name.removeprefix("probes.")
    try:
        probe = _plugins.load_plugin(name)
    except (GarakException, *PLUGIN_FAULTS) as error:
        return f"it cannot be loaded ({_first_line(error)})"
    modality = getattr(probe, "modality", None)
    if modality is not None and set(modality.get("in", {"text"})) - {"text"}:
        return f"it needs {', '.join(sorted(set(modality['in']) - {'text'}))}"
    first, *others = _detector_names(probe, extended=extended)
    loaded, missing = [], {}
    for detector in (first, *others):
        try:
            loaded.append(_plugins.load_plugin(f"detectors.{detector}"))
        except (GarakException, *PLUGIN_FAULTS) as error:
            if detector == first:
                return f"its detector {detector} cannot be loaded ({_first_line(error)})"
            missing[detector] = _first_line(error)
    return Usable(short, probe, tuple(loaded), missing)


def _detector_names(probe: Any, *, extended: bool) -> list[str]:
    """The probe's primary detector, and those beside it."""
    primary = getattr(probe, "primary_detector", None)
    if primary:
        return [primary, *(sorted(probe.extended_detectors) if extended else ())]
    return sorted(probe.recommended_detector)


def _first_line(error: BaseException) -> str:
    from competency_gaps.text import shorten, visible

    lines = [line.strip() for line in str(error).splitlines() if any(map(str.isalpha, line))]  # not a frame of stars
    return shorten(visible(lines[0] if lines else type(error).__name__), 200)


def make_generator(target: Target, name: str) -> Any:
    """The model as one of garak's generators, where garak finds it by name."""
    from garak.attempt import Message
    from garak.generators.base import Generator

    class Model(Generator):  # type: ignore[misc]
        """A model of competency-gaps."""

        generator_family_name = "competency-gaps"
        supports_multiple_generations = True
        parallel_capable = False

        def _call_model(self, prompt: Any, generations_this_call: int = 1) -> list[Any]:
            found = target.answers(messages_of(prompt), generations_this_call)
            return [None if text is None else Message(text) for text in found]

    Model.__module__ = MODULE
    module: Any = types.ModuleType(MODULE)
    module.Model, module.DEFAULT_CLASS, module.__file__ = Model, "Model", __file__
    sys.modules[MODULE] = module
    return Model(name)


def messages_of(conversation: Any) -> Messages:
    """The turns of one of garak's conversations."""
    return tuple((str(turn.role), str(turn.content.text or "")) for turn in conversation.turns)


def in_batches(probe: Any, target: Target, generations: int) -> None:
    """Let a probe's attacks be answered in batches: garak itself asks one after the other.

    Probes that find their next attack in the last answer are asked as they go.
    """
    # The class's own: garak hands out one instance of a probe for good, which an earlier run may have wrapped.
    execute = type(probe)._execute_all.__get__(probe)

    def execute_all(attempts: Any) -> Any:
        attempts = list(attempts)
        asked: Sequence[Messages] = [messages_of(one.prompt) for one in attempts if getattr(one, "prompt", None)]
        target.prime(asked, generations)
        return execute(attempts)

    probe._execute_all = execute_all
