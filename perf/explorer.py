"""Measure the speed of the explorer on a large run: the real page in a headless Chromium, against the real server.

    python perf/synthetic_run.py /tmp/synth --concepts 131072 --benchmarks 12 --items 100000 --nonzeros 100000000
    python perf/explorer.py /tmp/synth
    cgaps export /tmp/synth /tmp/page && python perf/explorer.py /tmp/synth --export /tmp/page

Times within the page are taken with the page's own clock, from the event to the second frame after the page shows the
result; medians over rounds and the slowest round are printed. Memory is the server's at the end: resident (RSS, which
includes reclaimable pages of mapped files), proportional (PSS), and peak resident. Chromium's software renderer draws
the frames of the atlas: a machine with a graphics card is faster.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table

FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
SCRIPT = Path(__file__).with_name("explorer_page.js")
Row = tuple[str, str, str, str, str]
READING = 2_000
"""Milliseconds that a reader spends on the first view, while the server prepares the next ones."""
NOTHING = "nothing at all is like this"
"""A search without matches, run between searches with matches, so that each search changes the rows shown."""


class Timed(NamedTuple):
    """Measurements of one quantity."""

    what: str
    seconds: list[float]
    target: float


class Asked(NamedTuple):
    """Concepts and words that the measurements use."""

    concepts: list[int]
    """First the concept that is active in most items, then random ones."""
    words: list[str]


def what_to_ask(run: Path, rounds: int) -> Asked:
    """Choose concepts, and words of prompts to search for; labels of synthetic runs are made of the same words."""
    concepts = pl.read_parquet(run / "concepts.parquet", columns=["concept", "support"])
    chosen = concepts.filter(pl.col("support") > 0).sample(rounds, seed=1)["concept"].to_list()
    prompts = pl.scan_parquet(run / "items.parquet").select("prompt").tail(rounds).collect()["prompt"]
    words = [word for prompt in prompts for word in (prompt.split()[-1], NOTHING)]
    return Asked([int(concepts["support"].arg_max() or 0), *chosen], words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--export", type=Path, help="its static explorer: measure that instead, from the folder")
    args = parser.parse_args()
    if args.export:
        measure_export(args.export, args.chromium, args.rounds)
        return
    asked = what_to_ask(args.run, args.rounds)
    figures: list[Timed] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=args.chromium, args=list(FLAGS))
        browser.new_page().goto("about:blank")
        started = time.perf_counter()
        command = [str(Path(sys.executable).with_name("cgaps")), "explore", str(args.run), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                address = re.search(r"http://\S+/", server.stdout.readline() if server.stdout else "")
                figures.append(Timed("server start", [time.perf_counter() - started], 5.0))
                measure(browser, address[0] if address else "", asked, args.rounds, figures)
                memory = _memory(server.pid)
            finally:
                server.terminate()
        browser.close()
    report(args.run, figures, [memory_row(memory)])


def measure_export(folder: Path, chromium: str, rounds: int) -> None:
    """Size of a static explorer, and how soon a window without cache shows its first view and its table."""
    address = f"{(folder / 'index.html').resolve().as_uri()}"
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        browser.new_page().goto("about:blank")
        first = [first_view(browser, address) for _ in range(rounds)]
        tables = []
        for _ in range(rounds):
            page = opened(browser, f"{address}#//concepts")
            tables.append(float(page.evaluate("cgapsMeasure.firstTable()")) / 1000)
            page.context.close()
        browser.close()
    figures = [Timed("first view", first, 2.0), Timed("first table", tables, 2.0)]
    report(folder, figures, [("size", f"{size:.1f} MB", "", "60 MB", "met" if size < 60 else "NOT MET")])


def measure(browser: Browser, address: str, asked: Asked, rounds: int, figures: list[Timed]) -> None:
    """Walk through the page; figures in seconds."""
    figures.append(Timed("first view, as soon as the server answers", [first_view(browser, address)], 1.5))
    again = [first_view(browser, address) for _ in range(rounds)]
    figures.append(Timed("first view, another window", again, 1.5))
    page = opened(browser, address)
    page.wait_for_timeout(READING)
    key = page.evaluate("async () => (await (await fetch('data/runs.json')).json()).runs[0].key")

    def visit(what: str) -> float:
        return timed(page, "go", f"#/{key}/{what}")

    figures.append(Timed("table of concepts, first time", [visit("concepts?kinds=all")], 1.5))
    figures.append(Timed("search the table", _searches(page, asked.words), 0.3))
    filters = (
        "status=typical",
        "status=insufficient",
        "kinds=all&n_eff=20",
        "kinds=all&liftmin=2",
        "kinds=all&region=3",
    )
    figures.append(Timed("filter the table", [visit(f"concepts?{query}") for query in filters], 0.3))
    visit("concepts?kinds=all")
    columns = page.evaluate("cgapsMeasure.columns()")
    figures.append(Timed("sort the table", _sorts(page, columns), 0.3))
    details = [timed(page, "go", f"#/{key}/concepts?kinds=all&concept={concept}") for concept in asked.concepts]
    figures.append(Timed("a concept's detail, the busiest concept first", details, 0.5))
    figures.append(Timed("table of items, first time", [visit("items")], 1.5))
    figures.append(Timed("search the items' texts", _searches(page, asked.words), 0.3))
    figures.append(Timed("atlas, first time", [visit("atlas")], 1.5))
    for name, move in (("pan", _pan), ("zoom", _zoom)):
        figures.append(Timed(f"a frame of the atlas under {name}", frames(page, move), 1 / 60))


def first_view(browser: Browser, address: str) -> float:
    """Seconds from opening the address in a window without cache until the findings stand there."""
    page = opened(browser, address)
    seconds = float(page.evaluate("cgapsMeasure.firstView")) / 1000
    page.context.close()
    return seconds


def opened(browser: Browser, address: str) -> Page:
    """The page in a window of its own, with the script that measures."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(path=SCRIPT)
    page.goto(address)
    return page


def timed(page: Page, what: str, *arguments: Any) -> float:
    """Seconds of one of the page's own measurements (``explorer_page.js``)."""
    return float(page.evaluate("([what, given]) => cgapsMeasure[what](...given)", [what, arguments])) / 1000


def _sorts(page: Page, columns: list[str]) -> list[float]:
    """By each column on the screen; without those whose order begins with the same row."""
    found = [page.evaluate("column => cgapsMeasure.sort(column)", column) for column in columns]
    return [float(value) / 1000 for value in found if value is not None]


def _searches(page: Page, words: list[str]) -> list[float]:
    return [timed(page, "search", word) for word in words]


def frames(page: Page, move: Callable[[Page], None]) -> list[float]:
    """Seconds between the frames that Chromium drew while the atlas was moved."""
    page.evaluate("cgapsMeasure.startFrames()")
    move(page)
    return [float(gap) / 1000 for gap in page.evaluate("cgapsMeasure.stopFrames()")]


def _middle(page: Page) -> tuple[float, float]:
    box = page.locator(".scatter canvas").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _pan(page: Page) -> None:
    x, y = _middle(page)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(x + 3 * step, y + 2 * step)
    page.mouse.up()


def _zoom(page: Page) -> None:
    page.mouse.move(*_middle(page))
    for step in range(40):
        page.mouse.wheel(0, -60 if step < 25 else 90)


def _memory(process: int) -> dict[str, int]:
    """MiB of a process, by name."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text() + Path(f"/proc/{process}/status").read_text()
    found = {name: re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE) for name in ("Rss", "Pss", "VmHWM")}
    return {name: int(match[1]) // 1024 for name, match in found.items() if match}


def memory_row(memory: dict[str, int]) -> Row:
    """The server's memory as a row of the report."""
    values = (f"{memory['Rss']:,} MiB", f"{memory['VmHWM']:,} MiB", "1,500 MiB")
    met = "met" if memory["VmHWM"] < 1500 else "NOT MET"
    return (f"server's memory, resident (PSS {memory['Pss']:,} MiB)", *values, met)


def report(what: Path, figures: list[Timed], more: list[Row]) -> None:
    """Print the figures beside their targets."""
    table = Table(title=f"{what}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in ("what", "median", "slowest", "target", ""):
        table.add_column(name, justify="left" if name == "what" else "right")
    for figure in figures:
        median, slowest = statistics.median(figure.seconds), max(figure.seconds)
        values = [f"{1000 * value:,.0f} ms" for value in (median, slowest, figure.target)]
        met = "met" if slowest < figure.target else "by most" if median < figure.target else "NOT MET"
        table.add_row(figure.what, *values, met)
    for row in more:
        table.add_row(*row)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
