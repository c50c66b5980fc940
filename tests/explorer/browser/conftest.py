"""The real page in a real browser: served by ``cgaps explore``, and exported into a folder that needs no server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from explorer_extras import rescored
from explorer_runs import Made, hostile_run

from competency_gaps.explorer import page_files
from competency_gaps.explorer.export import export
from competency_gaps.explorer.opened import open_runs
from competency_gaps.runs.open import RunFolder, open_folder

CHROMIUM = os.environ.get("CGAPS_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# As root Chromium has no sandbox; without the others it looks for hosts of its own.
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader"]
OURS = ("http://127.0.0.1:", "file://", "data:", "blob:")


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = None
    if CHROMIUM is None:
        reason = "needs Chromium: install it, or name it in CGAPS_CHROMIUM"
    elif not (page_files.PAGE / "app.js").is_file():
        reason = "the page was not built: make page"
    for item in items:
        if reason and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))
        # The export has the page of the server and other data: one module looks at both by default.
        if re.search(r"\[static[-\]]", item.nodeid) and item.path.name != "test_page_views.py":
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class Site:
    """An explorer with two runs: what it shows, and where."""

    mode: str
    url: str
    """Address of the page, without what follows the ``#``."""
    run: RunFolder
    """The first run, of key ``run-2`` or the like."""
    other: RunFolder
    """The second, with the same SAE and other scores."""
    keys: tuple[str, ...]

    def address(self, view: str, run: int = 0) -> str:
        """Address of a view, with its settings."""
        return f"{self.url}#/{self.keys[run]}/{view}"

    @property
    def concepts(self) -> pl.DataFrame:
        """The tables that the page's numbers must equal."""
        return self.run.concepts


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory) -> tuple[Made, Made]:
    """The same SAE and dictionary, other items."""
    folder = tmp_path_factory.mktemp("sites")
    return hostile_run(folder / "first"), hostile_run(folder / "second", seed=2)


@pytest.fixture(scope="session", params=["served", "static"])
def site(request, two_runs, tmp_path_factory) -> Iterator[Site]:
    """The explorer in both forms."""
    from test_explore_cli import exploring

    paths = [made.run for made in two_runs]
    keys = tuple(one.key for one in open_runs(paths))
    runs = [open_folder(path) for path in paths]
    if request.param == "static":
        folder = tmp_path_factory.mktemp("export") / "page"
        export(open_runs(paths, two_runs[0].dictionary), folder)
        yield Site("static", (folder / "index.html").as_uri(), runs[0], runs[1], keys)
        return
    arguments = [str(path) for path in paths]
    with exploring(*arguments, "--port", "0", "--no-open", "--dictionary", str(two_runs[0].dictionary)) as (_, port, _):
        yield Site("served", f"http://127.0.0.1:{port}/", runs[0], runs[1], keys)


@pytest.fixture(scope="module")
def models(modelled, hostile, tmp_path_factory) -> Iterator[Site]:
    """A served explorer of a run with several models, and of another run on the same items.

    Its keys are those of the run, of its outcomes (one model against peers, and plainly), and of the other run.
    """
    from test_explore_cli import exploring

    other = rescored(hostile, tmp_path_factory.mktemp("other")).run
    keys = tuple(entry.key for entry in open_runs([modelled.run, other]))
    arguments = [str(modelled.run), str(other), "--port", "0", "--dictionary", str(modelled.dictionary)]
    with exploring(*arguments) as (_, port, _):
        yield Site("served", f"http://127.0.0.1:{port}/", open_folder(modelled.run), open_folder(other), keys)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    # Playwright's event loop would be in the way of other modules' own, so it ends with each module.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def new_page(browser) -> Iterator[Callable[..., object]]:
    """Makes pages; each must leave the console without errors, and ask nobody but the explorer."""
    contexts, faults = [], []

    def make(width: int = 1440, height: int = 900, scheme: str = "light"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda said: faults.append(f"console: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(f"fault: {error}"))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda one: None if one.url.startswith(OURS) else faults.append(f"asked: {one.url}"))
        return page

    yield make
    for context in contexts:
        context.close()
    assert not faults, "\n".join(faults)


@pytest.fixture
def page(new_page):
    """A page of usual size."""
    return new_page()
