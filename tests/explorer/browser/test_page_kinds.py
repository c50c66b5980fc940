"""Journeys through pages of other kinds: exported, of several models, of compared lists, and beside foreign pages."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
from explorer_extras import ADDED, POINT, rescored
from explorer_runs import SECRETS
from page_helpers import await_rows, cells, close, cut_off, number, open_view, serious
from test_explore_cli import exploring

import competency_gaps as cg
from competency_gaps.explorer.export import export, export_file
from competency_gaps.explorer.opened import open_runs
from competency_gaps.runs.scores import model_scores
from competency_gaps.stages import outcomes
from competency_gaps.text import visible


def exported(made, folder, **options) -> str:
    """Address of a run in an exported page."""
    opened = open_runs([made.run], made.dictionary)
    export(opened, folder, **options)
    return f"{(folder / 'index.html').as_uri()}#/{opened[0].key}/"


def test_an_exported_page_needs_no_server(hostile, tmp_path, page):
    run = cg.open_run(hostile.run)
    url = exported(hostile, tmp_path / "page")
    open_view(page, f"{url}overview", "findings")
    menu = page.get_by_role("navigation", name="Views").inner_text()
    assert "Findings" in menu and "Chat" not in menu and "Compare" not in menu
    open_view(page, f"{url}chat", "odd-address")
    assert "has no chat" in page.get_by_test_id("odd-address").inner_text()
    open_view(page, f"{url}concepts?concept=2", "concept-benchmarks")
    await_rows(page, "concept-grid", run.concepts.filter("ranked").height)
    page.get_by_test_id("example").first.locator("mark.token").first.wait_for()
    open_view(page, f"{url}items", "items-cut")
    page.get_by_test_id("items-search").fill("zzqqnothing")
    await_rows(page, "items-grid", 0)
    page.get_by_test_id("items-search").fill("")
    await_rows(page, "items-grid", run.items.unique("cluster").height)
    export_file(open_runs([hostile.run], hostile.dictionary), tmp_path / "page.html")
    page.goto((tmp_path / "page.html").as_uri())
    page.get_by_test_id("findings").wait_for()
    page.get_by_test_id("menu-concepts").click()
    await_rows(page, "concept-grid", run.concepts.filter("ranked").height)
    url = exported(hostile, tmp_path / "redacted", texts=False)
    for view, wait_for in (("items?item=3", "item-title"), ("concepts?kinds=all&concept=2", "concept-title")):
        open_view(page, url + view, wait_for)
        page.wait_for_timeout(500)
        text = page.locator("body").inner_text()
        assert "left out" in text and not [word for word in SECRETS if word in text]


def test_a_run_with_the_scores_of_several_models(modelled, hostile, tmp_path, page):
    run, other = cg.open_run(modelled.run), rescored(hostile, tmp_path).run
    keys = [entry.key for entry in open_runs([modelled.run, other])]
    cache = str(outcomes.cache_folder())  # where this process made them
    with exploring(str(modelled.run), str(other), "--port", "0", CGAPS_CACHE=cache) as (_, port, _):
        base = f"http://127.0.0.1:{port}/#/"
        open_view(page, f"{base}{keys[0]}/overview", "theme-bars")
        page.get_by_test_id("model-picker").click()
        page.get_by_role("option", name="big").click()
        page.wait_for_url(f"**/#/{keys[2]}/overview*")
        page.get_by_role("heading", name="where is big weak").wait_for()
        assert "<b>tiny reads the items" in page.get_by_test_id("whose").inner_text()
        page.get_by_test_id("outcome-picker").click()
        page.get_by_role("option", name="against peers").click()
        page.wait_for_url(f"**/#/{keys[1]}/overview*")

        table = run.model_themes(against_peers=True)
        row = table.filter(pl.col("model") == "big").drop_nulls("gap").sort("gap").row(0, named=True)
        open_view(page, f"{base}{keys[0]}/models?kind=peers&model=dull&a=small&b=big", "paired-themes")
        heat = page.get_by_test_id("models-heat")
        assert heat.locator("td button").count() == table.height
        cell = heat.locator(f"td button[aria-label^='big, {visible(row['name'])}: gap']")
        assert close(cell.get_attribute("aria-label").split(": gap ")[1].split(" ")[0], 100 * row["gap"], 1)
        made = run.compare("big", "small")
        overall = made.overall.row(0, named=True)
        sentence = page.get_by_test_id("paired-overall").inner_text()
        assert sentence.startswith(f"big does better than small: +{100 * overall['difference']:.1f} points")
        line = page.get_by_test_id("paired-benchmarks").locator("tbody tr").first
        assert close(line.locator("td").first.inner_text(), 100 * made.benchmarks["difference"][0], 1)
        page.get_by_role("button", name="Exchange A and B").click()
        page.get_by_text("small does worse than big").wait_for()
        wrong = serious(page) + cut_off(page)
        cell.click()
        page.wait_for_url(f"**/#/{keys[1]}/concepts?*theme={row['theme']}*")
        groups = run.model_groups()
        open_view(page, f"{base}{keys[0]}/models?by=groups", "models-heat")
        page.wait_for_function(
            "count => document.querySelectorAll('[data-testid=models-heat] td button').length === count",
            arg=groups.height,
        )

        page.set_viewport_size({"width": 2400, "height": 900})
        open_view(page, f"{base}{keys[0]}/items?sort=discrimination", "items-grid")
        least = run.item_models()["discrimination"].min()
        assert abs(number(cells(page, "items-grid", "discrimination", 1)[0]) - least) < 0.006
        open_view(page, f"{base}{keys[0]}/items?item=0", "item-models")
        rows = page.get_by_test_id("item-models").locator("tbody tr")
        scores = model_scores(run)
        assert rows.count() == len(ADDED) + 1
        for place in range(rows.count()):
            assert close(rows.nth(place).locator("td").first.inner_text(), float(scores.values[place, 0]), 2)

        page.set_viewport_size({"width": 1440, "height": 900})
        open_view(page, f"{base}{keys[0]}/compare?with={keys[3]}", "paired-overall")
        compared = cg.compare(other, modelled.run)
        assert f"worse on {compared.overall['worse'][0]} of" in page.get_by_test_id("paired-overall").inner_text()
        page.get_by_role("columnheader", name="B minus A").first.wait_for()
        wrong += serious(page)
        assert not wrong, "\n".join(wrong)


def test_lists_that_were_compared_with_the_run(listed, tmp_path, page):
    (entry,) = open_runs([listed.run], listed.dictionary)
    with exploring(str(listed.run), "--port", "0", "--no-open", "--dictionary", str(listed.dictionary)) as (_, port, _):
        url = f"http://127.0.0.1:{port}/#/{entry.key}/"
        open_view(page, f"{url}matches?list=1", "entries")
        texts = page.get_by_test_id("entries").locator("tbody tr").all_inner_texts()
        assert "recovered as weak" in texts[0] and "not matched" in texts[1]
        assert page.get_by_test_id("list-rates").locator("tbody tr").count() == 3
        wrong = serious(page) + cut_off(page)
        page.get_by_test_id("entries").get_by_role("link", name="roman").click()
        marks = page.get_by_test_id("entry-example").first.locator("mark.token")
        marks.first.wait_for()
        assert {text.strip() for text in marks.all_inner_texts()} == {"Roman"}
        assert page.get_by_test_id("menu-matches").get_attribute("aria-current") == "page"
        open_view(page, f"{url}entry/0", "entry-example")
        page.get_by_text(visible(POINT)).first.wait_for()
        assert page.locator("[data-testid=entry] img, [data-testid=entry] script").count() == 0
        wrong += serious(page) + cut_off(page)
        for view in ("entry/77", "entry/x", "matches?list=9"):
            open_view(page, url + view, "failed")
        page.goto("about:blank")  # ends what the page still asks of the server, which goes
        assert not wrong, "\n".join(wrong)
    url = exported(listed, tmp_path / "redacted", texts=False)
    open_view(page, f"{url}entry/0", "examples-absent")
    assert "<U+202E>" not in page.locator("main").inner_text()


class _Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>foreign</title>")

    def log_message(self, *_: object) -> None:
        pass


READ = ".then(async (answer) => `read ${await answer.text()}`, () => 'refused')"
POST = "method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'"
ATTEMPTS = (
    f"fetch(at + 'data/runs.json'){READ}",
    f"fetch(at + 'data/run/items.parquet', {{mode: 'no-cors'}}){READ}",
    f"fetch(at + 'chat', {{method: 'POST', mode: 'no-cors', body: '{{}}'}}){READ}",
    f"fetch(at + 'chat', {{{POST}}}){READ}",
    """new Promise((done) => document.head.append(Object.assign(document.createElement('script'),
        {src: at + 'app.js', onload: () => done('ran'), onerror: () => done('refused')})))""",
)


def test_another_page_of_this_machine_reads_nothing(hostile, browser):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Foreign)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = browser.new_context()
    with exploring(str(hostile.run), "--port", "0", "--no-open") as (_, port, _):
        page, at = context.new_page(), f"http://127.0.0.1:{port}/"
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        for attempt in ATTEMPTS:
            assert page.evaluate(f"(at) => {attempt}", at) == "refused", attempt
        page.evaluate(
            """(at) => new Promise((done) => document.body.append(
                Object.assign(document.createElement('iframe'), {src: at, onload: () => done()})))""",
            at,
        )
        (frame,) = (frame for frame in page.frames if frame != page.main_frame)
        assert frame.evaluate("document.querySelector('#app') === null")
        # A name that points at this machine, as anybody can let one of theirs.
        answer = page.goto(f"http://rebound.localhost:{port}/")
        assert answer.status == 421 and "own address" in page.inner_text("body")
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        page.evaluate("(at) => { location.href = at + '#/run/card'; }", at)
        page.wait_for_selector("#main")
    context.close()
    server.shutdown()
