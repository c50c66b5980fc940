"""The real page in a real browser: one server, one browser and one window per module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from explorer_runs import Made, hostile_run

from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.view.page import page_files
from competency_gaps.view.page.opened import open_runs

CHROMIUM = os.environ.get("CGAPS_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# As root Chromium has no sandbox; without the others it looks for hosts of its own.
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
OURS = ("http://127.0.0.1:", "file://", "data:", "blob:", "about:")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = None
    if CHROMIUM is None:
        reason = "needs Chromium: install it, or name it in CGAPS_CHROMIUM"
    elif not (page_files.PAGE / "app.js").is_file():
        reason = "the page was not built: make page"
    for item in items:
        if reason and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@dataclass(frozen=True)
class Site:
    """An explorer: what it shows, and where."""

    url: str
    """Address of the page, without what follows the ``#``."""
    run: RunFolder
    keys: tuple[str, ...]
    """Of its runs, the first one's first."""
    other: RunFolder | None = None
    """A second run with the same SAE."""

    def address(self, view: str, run: int = 0) -> str:
        """Address of a view, with its settings."""
        return f"{self.url}#/{self.keys[run]}/{view}"


@pytest.fixture(scope="session")
def two_runs(hostile, tmp_path_factory) -> tuple[Made, Made]:
    """The same SAE and dictionary, other items."""
    return hostile, hostile_run(tmp_path_factory.mktemp("second"), seed=2)


@pytest.fixture(scope="module")
def site(two_runs) -> Iterator[Site]:
    """The served explorer of two runs."""
    from test_explore_cli import exploring

    paths = [made.run for made in two_runs]
    keys = tuple(opened.key for opened in open_runs(paths))
    arguments = [*map(str, paths), "--port", "0", "--no-open"]
    with exploring(*arguments) as (_, port, _):
        yield Site(f"http://127.0.0.1:{port}/", open_folder(paths[0]), keys, open_folder(paths[1]))


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    # Playwright's event loop would be in the way of other modules' own, so it ends with each module.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def window(browser) -> tuple[object, list[str]]:
    """The module's page, and what went wrong in it: errors of the console, dialogs, requests to other hosts."""
    faults: list[str] = []
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda line: faults.append(f"console: {line.text}") if line.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(f"fault: {error}"))
    page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda sent: None if sent.url.startswith(OURS) else faults.append(f"asked: {sent.url}"))
    return page, faults


@pytest.fixture
def page(window) -> Iterator[object]:
    """An empty page of usual size; a journey must leave the console without errors, and ask only the explorer."""
    page, faults = window
    faults.clear()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto("about:blank")
    yield page
    assert not faults, "\n".join(faults)
