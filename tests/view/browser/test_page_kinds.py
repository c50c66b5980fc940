"""Journeys through pages of other kinds: exported, of several models, of compared lists, and beside foreign pages."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from explorer_extras import ADDED, DRAFT, POINT, rescored
from explorer_runs import SECRETS
from page_helpers import await_rows, close, cut_off, open_view, serious
from test_explore_cli import exploring

import competency_gaps as cg
from competency_gaps.findings.items import detail
from competency_gaps.findings.kept import model_slices
from competency_gaps.runs.scores import model_scores
from competency_gaps.util.text import visible
from competency_gaps.view import words
from competency_gaps.view.page import export as export_module
from competency_gaps.view.page.export import export, export_file
from competency_gaps.view.page.opened import open_runs
from competency_gaps.view.page.parts import Context, Parts
from competency_gaps.view.page.parts.names import display_names
from competency_gaps.view.terminal.compare import sentences


def exported(made, folder, **options) -> str:
    """Address of a run in an exported page."""
    opened = open_runs([made.run])
    export(opened, folder, **options)
    return f"{(folder / 'index.html').as_uri()}#/{opened[0].key}/"


def test_an_exported_page_needs_no_server(hostile, tmp_path, page):
    run = cg.open_run(hostile.run)
    url = exported(hostile, tmp_path / "page")
    open_view(page, f"{url}answer", "headline")
    menu = page.get_by_role("navigation", name="Views").inner_text()
    assert "Answer" in menu and "Compare" not in menu
    open_view(page, f"{url}compare", "address-notices")
    assert "with one run" in page.get_by_test_id("address-notices").inner_text()
    open_view(page, f"{url}concepts?concept=2", "concept-benchmarks")
    await_rows(page, "concept-grid", run.concepts.filter("ranked").height)
    page.get_by_test_id("example").first.locator("mark.token").first.wait_for()
    open_view(page, f"{url}items", "items-cut")
    page.get_by_test_id("items-search").fill("zzqqnothing")
    await_rows(page, "item-grid", 0)
    page.get_by_test_id("items-search").fill("")
    await_rows(page, "item-grid", run.items.unique("cluster").height)
    export_file(open_runs([hostile.run]), tmp_path / "page.html")
    page.goto((tmp_path / "page.html").as_uri())
    page.get_by_test_id("headline").wait_for()
    assert not serious(page) + cut_off(page)
    page.get_by_test_id("menu-concepts").click()
    await_rows(page, "concept-grid", run.concepts.filter("ranked").height)
    assert not serious(page) + cut_off(page)
    url = exported(hostile, tmp_path / "redacted", texts=False)
    for view, wait_for in (("items?item=3", "item-title"), ("concepts?kinds=all&concept=2", "concept-title")):
        open_view(page, url + view, wait_for)
        page.wait_for_timeout(500)
        text = page.locator("body").inner_text()
        assert "leaves out" in text and not [word for word in SECRETS if word in text]


def test_a_run_with_the_scores_of_several_models(modelled, hostile, tmp_path, page):
    run, other = cg.open_run(modelled.run), rescored(hostile, tmp_path).run
    keys = [entry.key for entry in open_runs([modelled.run, other])]
    with exploring(str(modelled.run), str(other), "--port", "0", "--no-open") as (_, port, _):
        base = f"http://127.0.0.1:{port}/#/"
        open_view(page, f"{base}{keys[0]}/", "models-heat")
        assert page.get_by_test_id("models-list").locator("li").count() == len(ADDED) + 1
        cells_made = model_slices(run).cells
        heat = page.get_by_test_id("models-heat")
        assert heat.locator("td button").count() == cells_made.height
        wrong = serious(page) + cut_off(page)
        heat.locator("td button").first.click()
        page.get_by_test_id("slice-score").wait_for()
        page.get_by_test_id("model-picker").click()
        page.get_by_role("option", name="big").click()
        open_view(page, f"{base}{keys[0]}/benchmarks", "models-scores")
        check_scores(page, run)
        wrong += serious(page) + cut_off(page)
        open_view(page, f"{base}{keys[0]}/models?a=small&b=big", "paired-verdict")
        made = run.compare("small", "big")
        assert page.get_by_test_id("paired-verdict").inner_text() == visible(sentences(made)[0][0])
        open_view(page, f"{base}{keys[0]}/items?item=0", "item-models")
        rows, scores = page.get_by_test_id("item-models").locator("tbody tr"), model_scores(run)
        assert rows.count() == len(ADDED) + 1
        for place in range(rows.count()):
            assert close(rows.nth(place).locator("td").first.inner_text(), float(scores.values[place, 0]), 2)
        open_view(page, f"{base}{keys[0]}/compare?with={keys[1]}", "paired-verdict")
        compared = cg.compare(other, modelled.run)
        assert page.get_by_test_id("paired-verdict").inner_text() == visible(sentences(compared)[0][0])
        wrong += serious(page)
        assert not wrong, "\n".join(wrong)
    url = exported(modelled, tmp_path / "page")
    open_view(page, f"{url}models?a=small&b=big", "models-heat")
    assert page.get_by_test_id("pair-a").count() == page.get_by_test_id("failed").count() == 0


def check_scores(page, run) -> None:
    """The table of scores sorts by the benchmark that is clicked, and marks the models that may be the best there."""
    scores, benchmark = model_scores(run), run.items["benchmark"].to_numpy()
    names = np.array([visible(name) for name in display_names(scores.models)])
    made = run.scores_by("benchmark")
    may_be_best = set(made.filter("may_be_best").select("category", "model").iter_rows())
    table = page.get_by_test_id("models-scores")
    for category in made["category"].unique():
        mean = np.ma.masked_invalid(scores.values[:, benchmark == category]).mean(axis=1)
        header = table.locator("thead th").filter(has=page.get_by_text(visible(category), exact=True))
        column = table.locator(f"tbody td:nth-child({header.evaluate('cell => cell.cellIndex') + 1}) button")
        for sort, key in (("descending", -mean), ("ascending", mean)):
            header.get_by_role("button").click()
            table.locator(f"th[aria-sort={sort}]").filter(has_text=visible(category)).wait_for()
            order = np.argsort(key.filled(2.0), kind="stable")
            shown = table.locator("tbody th a").evaluate_all("links => links.map((link) => link.title)")
            assert shown == names[order].tolist(), (category, sort)
            texts = column.all_inner_texts()
            assert texts == ["" if mean.mask[place] else f"{100 * mean[place]:.0f}" for place in order]
            best = column.evaluate_all("cells => cells.map((cell) => / the best/.test(cell.title))")
            assert best == [(category, scores.models[place]) in may_be_best for place in order] and any(best)
            assert column.and_(page.locator(".passes")).count() == sum(best)


def test_one_file_leads_to_nothing_that_it_leaves_out(modelled, tmp_path, page, monkeypatch):
    for name in ("MORE_CONCEPTS", "MORE_ITEMS"):
        monkeypatch.setattr(export_module, name, 0)
    export_file(open_runs([modelled.run]), tmp_path / "page.html")
    url = f"{(tmp_path / 'page.html').as_uri()}#/{open_runs([modelled.run])[0].key}/"
    run, opened = cg.open_run(modelled.run), 0
    for model in ("big", "dull"):
        made = run.answer(model)
        open_view(page, f"{url}answer?model={model}", "headline")
        for finding in made.findings:
            open_view(page, f"{url}slice/{finding.slice}?model={model}", "slice-gap")
            assert words.points_of(finding) in page.get_by_test_id("slice-gap").inner_text()
            for more in page.get_by_test_id("more-sides").all():
                more.click()
            behind = detail(run, made, finding)
            examples = page.get_by_test_id("sides").get_by_test_id("slice-example")
            assert examples.count() == len(behind.failing) + len(behind.passing) > 0
            for link in examples.get_by_text("Open item").all():
                link.click()
                page.get_by_test_id("item-text").wait_for()
                opened += 1
            assert page.get_by_test_id("failed").count() == 0
    assert opened > 12
    for view, wait_for in (
        ("items", "item-grid"),
        ("concepts", "concept-grid"),
        ("models", "models-heat"),
        ("benchmarks", "models-scores"),
    ):
        open_view(page, url + view, wait_for)
        assert page.get_by_test_id("failed").count() == 0
    open_view(page, f"{url}concepts", "concept-grid")
    page.get_by_test_id("concept-grid").locator(".ag-cell.shut").first.click()
    assert page.get_by_test_id("panel").count() == 0


def test_lists_that_were_compared_with_the_run(listed, page):
    (entry,) = open_runs([listed.run])
    with exploring(str(listed.run), "--port", "0", "--no-open") as (_, port, _):
        url = f"http://127.0.0.1:{port}/#/{entry.key}/"
        open_view(page, f"{url}trust", "entries")
        (text,) = page.get_by_test_id("entries").locator("tbody tr").all_inner_texts()
        assert "recovered, goes with failure" in text and visible(POINT) in text
        assert page.locator("[data-testid=known-weaknesses] img, [data-testid=known-weaknesses] script").count() == 0
        wrong = serious(page) + cut_off(page)
        open_view(page, f"{url}trust?list=9", "failed")
        page.goto("about:blank")  # ends what the page still asks of the server, which goes
        assert not wrong, "\n".join(wrong)


def test_what_to_improve_with_all_answers_side_by_side(improved, hostile, tmp_path, page):
    run, key = cg.open_run(improved.run), open_runs([improved.run])[0].key
    with exploring(str(improved.run), str(hostile.run), "--port", "0", "--no-open") as (_, port, _):
        base = f"http://127.0.0.1:{port}/#/"
        open_view(page, f"{base}{open_runs([improved.run, hostile.run])[1].key}/improve", "improve-answers")
        told = page.inner_text("main")
        assert all(f"cgaps improve {hostile.run} --{what}" in told for what in ("keep", "items", "new"))
        assert page.get_by_test_id("improve-answers").locator("a").count() == 0
        open_view(page, f"{base}{key}/improve?result=items", "side-by-side")
        found = run.broken_items().row(0, named=True)
        assert visible(found["reason"]) in page.get_by_test_id("broken-items").locator("summary").first.inner_text()
        counts = page.get_by_test_id("side-by-side").locator("tbody td:nth-child(3)").all_inner_texts()
        assert sum(map(int, counts)) == len(ADDED) + 1
        wrong = serious(page) + cut_off(page)
        for result, wait_for in (("new-new", "drafts"), ("keep-20", "kept")):
            open_view(page, f"{base}{key}/improve?result={result}", wait_for)
            assert page.locator("#app img, #app script").count() == 0
            wrong += serious(page) + cut_off(page)
        assert not wrong, "\n".join(wrong)
    told = Parts(Context(run, key, portable=True, texts=False)).read("improve.json").decode()
    assert not [word for word in (*SECRETS, str(improved.run)) if word in told] and "drafts.json" in told
    for texts in (True, False):
        url = exported(improved, tmp_path / f"page{texts}", texts=texts)
        open_view(page, f"{url}improve?result=new-new", "improvement")
        assert (visible(DRAFT) in page.inner_text("main")) == texts
        open_view(page, f"{url}improve?result=items", "side-by-side")
        assert texts or not [word for word in SECRETS if word in page.inner_text("body")]


class _Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>foreign</title>")

    def log_message(self, *_: object) -> None:
        pass


READ = ".then(async (answer) => `read ${await answer.text()}`, () => 'refused')"
ATTEMPTS = (
    f"fetch(at + 'data/runs.json'){READ}",
    f"fetch(at + 'data/run/items.parquet', {{mode: 'no-cors'}}){READ}",
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
        page.evaluate("(at) => { location.href = at + '#/run/trust'; }", at)
        page.wait_for_selector("#main")
    context.close()
    server.shutdown()
