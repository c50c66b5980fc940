"""Labels from elsewhere: every format, three states, another SAE's labels, damage, and a server that misbehaves."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest

from competency_gaps.concepts import neuronpedia
from competency_gaps.concepts.folder import open_dictionary, write_dictionary
from competency_gaps.concepts.imports import import_labels
from competency_gaps.concepts.labels import SCHEMA, shown_labels, today
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress

WIDTH = 300
MODEL, SOURCE = "gpt2-small", "5-res-jb"
SAE = {
    "name": "gpt2-small-res-jb/blocks.5.hook_resid_pre",
    "d_sae": WIDTH,
    "hook_name": "blocks.5.hook_resid_pre",
    "neuronpedia_id": f"{MODEL}/{SOURCE}",
}
LOCAL = {"name": "/saes/mine", "d_sae": WIDTH, "hook_name": "blocks.5.hook_resid_pre", "neuronpedia_id": None}


def read(source, sae=None, **options):
    quiet = Progress(quiet=True)
    return import_labels(source, sae_identity=sae or SAE, progress=quiet, **options)


def labels(imported) -> dict[int, list[str]]:
    rows = imported.table.filter(pl.col("label").is_not_null())
    return {c: sorted(rows.filter(pl.col("concept") == c)["label"]) for c in sorted(set(rows["concept"]))}


def states(imported) -> Counter:
    return Counter(shown_labels(imported.table, WIDTH)["label_state"])


def reasons(imported) -> dict[str, int]:
    return {item.reason: item.count for item in imported.left_out}


def explanation(index: int, text: str | None, explainer="gpt-4o-mini", kind="oai_token-act-pair", **more) -> dict:
    return {
        "modelId": MODEL, "layer": SOURCE, "index": str(index), "description": text,
        "explanationModelName": explainer, "typeName": kind, "embedding": [0.1] * 8, "umap_x": 1.0, **more,
    }  # fmt: skip


def packed(rows: list, mangle=lambda data: data) -> bytes:
    text = "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
    return mangle(gzip.compress(text.encode("utf-8", "surrogatepass")))


def export(folder, batches: dict[str, list], source: dict | None = None, sub=True):
    inner = folder / "explanations" if sub else folder
    inner.mkdir(parents=True, exist_ok=True)
    for name, rows in batches.items():
        (inner / name).write_bytes(packed(rows))
    if source is not None:
        (folder / "source.jsonl").write_text(json.dumps(source) + "\n")
    return folder


# --- Neuronpedia's bulk export


def test_export_is_keyed_on_the_index_and_keeps_the_label_of_each_explainer(tmp_path):
    export(
        tmp_path,
        {
            "batch-10.jsonl.gz": [explanation(2, "two, last"), explanation(290, "far")],
            "batch-2.jsonl.gz": [explanation(7, "seven"), explanation(2, "two"), explanation(2, "two by b", "b")],
        },
    )
    imported = read(tmp_path)
    assert labels(imported) == {2: ["two", "two by b"], 7: ["seven"], 290: ["far"]}
    row = imported.table.filter(pl.col("label") == "seven").row(0, named=True)
    assert row["explainer"] == "gpt-4o-mini" and row["kind"] == "imported" and row["date"] == today()
    assert row["source"] == f"neuronpedia:{MODEL}/{SOURCE}#oai_token-act-pair"
    assert imported.table.schema == pl.Schema(SCHEMA)
    assert (imported.labelled, imported.none, imported.never) == (3, 0, WIDTH - 3)
    assert "agrees" in imported.identity_check and not imported.left_out
    assert read(tmp_path / "explanations").table.equals(imported.table), "the inner folder is taken as well"


def test_explanations_that_say_nothing_are_looked_up_and_none(tmp_path):
    rows = [explanation(0, "zero"), explanation(1, ""), explanation(2, "Explanation could not be parsed.")]
    imported = read(export(tmp_path, {"batch-0.jsonl.gz": rows}))
    assert states(imported) == {"labelled": 1, "none": 2, "never": WIDTH - 3}
    assert (imported.labelled, imported.none, imported.never) == (1, 2, WIDTH - 3)
    assert reasons(imported) == {
        "empty label: recorded as looked up, without a label": 1,
        "the explainer failed: recorded as looked up, without a label": 1,
    }
    assert "could not be parsed" not in str(imported.table["label"].to_list())


def test_damaged_lines_are_counted_and_the_rest_is_kept(tmp_path):
    many = [explanation(i, f"label {i} {i * 7919 % 1000003}") for i in range(200)]
    export(
        tmp_path,
        {
            "batch-0.jsonl.gz": [
                explanation(250, "good"), '{"index": "3", "desc', "[" * 100_000, "[1]", "",
                explanation(1.5, "x"), explanation("１２", "x"), explanation(-4, "x"),
                {**explanation(0, "y"), "index": True}, explanation(251, 7), {"index": "253"},
            ]
        },
    )  # fmt: skip
    (tmp_path / "explanations" / "batch-1.jsonl.gz").write_bytes(packed(many, lambda data: data[: len(data) // 2]))
    imported = read(tmp_path)
    assert 250 in labels(imported) and 0 < imported.labelled < 200
    assert reasons(imported) == {
        "line is not a JSON object": 3,
        "no whole number of 0 or more in concept or index or feature or latent": 4,
        "no text in label or description or explanation": 2,
        "file is damaged; the rest is lost": 1,
    }
    first = next(item for item in imported.left_out if item.reason == "line is not a JSON object")
    assert (first.count, first.first) == (3, "batch-0.jsonl.gz, line 2")
    (tmp_path / "explanations" / "batch-1.jsonl.gz").unlink()
    export(tmp_path, {"batch-0.jsonl.gz": ["{broken"]})
    with pytest.raises(UserError, match=r"no usable label.*line is not a JSON object \(1; batch-0\.jsonl\.gz, line 1"):
        read(tmp_path)


# --- is it this SAE?


def test_labels_of_another_sae_are_refused_and_both_are_named(tmp_path):
    export(tmp_path, {"batch-0.jsonl.gz": [{**explanation(0, "zero"), "layer": "6-res-jb"}]})
    with pytest.raises(UserError, match=rf"{MODEL}/6-res-jb.*{MODEL}/{SOURCE}"):
        read(tmp_path)


def test_what_a_source_says_of_its_sae_may_be_nothing_to_compare(tmp_path):
    rows = [{"index": "0", "description": "zero", "modelId": None}]
    export(tmp_path, {"batch-0.jsonl.gz": rows})
    (tmp_path / "source.jsonl.gz").write_bytes(packed([{"modelId": MODEL, "id": SOURCE}]))
    assert "agrees" in read(tmp_path).identity_check
    assert "cannot be compared" in read(tmp_path, LOCAL).identity_check
    (tmp_path / "source.jsonl.gz").unlink()
    assert "not stated" in read(tmp_path).identity_check


@pytest.mark.parametrize(("width", "fits"), [(2304, False), (16_384, True), (16_000, True), (65_536, False)])
def test_the_width_in_the_name_of_a_source_is_compared(tmp_path, width, fits):
    """Where the SAE has no id of Neuronpedia's."""
    rows = [{"index": "0", "description": "zero", "modelId": "gemma-2-2b", "layer": "10-gemmascope-res-16k"}]
    export(tmp_path, {"batch-0.jsonl.gz": rows})
    options = {"sae_identity": {**LOCAL, "d_sae": width}, "progress": Progress(quiet=True)}
    if fits:
        assert import_labels(tmp_path, **options).labelled == 1
    else:
        with pytest.raises(UserError, match=rf"another SAE.*res-16k, but this SAE is of {width:,} concepts"):
            import_labels(tmp_path, **options)


@pytest.mark.parametrize("file", [".", "labels.parquet"])
def test_labels_of_another_dictionary_are_its_own_saes(tmp_path, file):
    """The hash of the weights decides, whatever the SAEs are called."""
    mine, other = ({"name": "saes/x", "d_sae": WIDTH, "weights_sha256": digit * 64} for digit in "ab")
    write_dictionary(tmp_path, other)
    row = {"concept": 3, "label": "three", "kind": "imported", "placeholder": False}
    open_dictionary(tmp_path).add_labels(pl.DataFrame([row], schema=SCHEMA))
    assert labels(read(tmp_path / file, {**other, "name": "elsewhere"})) == {3: ["three"]}
    with pytest.raises(UserError, match=r"another SAE.*weights bbbbbbbbbbbb.*weights aaaaaaaaaaaa"):
        read(tmp_path / file, mine)


@pytest.mark.parametrize("index", [WIDTH, 10**17])
def test_an_index_beyond_the_width_means_another_sae(tmp_path, index):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"0": "zero", str(index): "far"}))
    with pytest.raises(UserError, match=rf"another SAE.*concept {index},.*0 to {WIDTH - 1}"):
        read(path)


# --- JSON


def test_index_json_with_texts_nulls_and_lists(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text('{"3": "three", "1": null, "7": ["seven a", "seven b"], "x": "no", "4": 5}')
    imported = read(path)
    assert labels(imported) == {3: ["three"], 7: ["seven a"]}
    assert states(imported) == {"labelled": 2, "none": 1, "never": WIDTH - 3}
    assert [item.first for item in imported.left_out] == ["labels.json, key 4", "labels.json, key x"]
    assert set(imported.table["source"]) == {"file:labels.json"}


# --- tables


def test_tables_of_every_kind_say_the_same(tmp_path):
    frame = pl.DataFrame(
        {"Feature": ["4", "2", "6"], "Explanation": ["1.50", "two, with a comma", None], "explainer": ["m", None, "m"]}
    )
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.with_columns(pl.col("Feature").cast(pl.Float64)).write_parquet(tmp_path / "a.parquet")
    for suffix in ("csv", "tsv", "jsonl", "parquet"):
        imported = read(tmp_path / f"a.{suffix}")
        assert labels(imported) == {2: ["two, with a comma"], 4: ["1.50"]}, suffix
        assert states(imported) == {"labelled": 2, "none": 1, "never": WIDTH - 3}
        assert imported.table.filter(pl.col("concept") == 4)["explainer"].item() == "m"
        assert not imported.left_out


def test_scores_of_tables_are_taken_within_their_range(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("concept,label,detection,embedding\n1,a,0.7,x\n2,b,,x\n3,c,1.7,x\n4,d,nan,x\n")
    imported = read(path)
    rows = imported.table.select("concept", "score", "scored_by").rows()
    assert rows == [(1, 0.7, "source"), (2, None, None), (3, None, None), (4, None, None)]


# --- over the network, from a server that misbehaves


class Server:
    """A bucket. ``faults``: path -> first answers: a status, "cut" or "short"."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list] = {}
        self.asked: Counter[str] = Counter()
        self.page = 2
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body, cut = outer.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if cut else body)
                if cut:
                    self.close_connection = True

            def log_message(self, *args) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, path: str) -> tuple[int, bytes, bool]:
        parts = urlsplit(path)
        with self.lock:
            self.asked[parts.path] += 1
            faults = self.faults.get(parts.path, [])
            fault = faults.pop(0) if faults else None
        if isinstance(fault, int):
            return fault, b"<html>sorry</html>", False
        if parts.path == "/":
            return 200, self.listing(parse_qs(parts.query)), fault == "cut"
        body = self.files.get(parts.path[1:])
        if fault == "short" and body:
            return 200, body[: len(body) // 2], False
        return (200, body, fault == "cut") if body is not None else (404, b"", False)

    def listing(self, query: dict[str, list[str]]) -> bytes:
        assert query["list-type"] == ["2"]
        keys = sorted(key for key in self.files if key.startswith(query["prefix"][0]))
        start = int(query.get("continuation-token", ["t 0"])[0].split(" ")[1])
        shown, rest = keys[start : start + self.page], keys[start + self.page :]
        items = "".join(f"<Contents><Key>{k}</Key><Size>{len(self.files[k])}</Size></Contents>" for k in shown)
        more = f"<NextContinuationToken>t {start + self.page}</NextContinuationToken>" if rest else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>{items}{more}</ListBucketResult>"
        ).encode()


@pytest.fixture
def server(monkeypatch):
    made = Server()
    for name, value in {"BUCKET": made.address, "ATTEMPTS": 4, "FIRST_WAIT": 0.01, "TIMEOUT": 5}.items():
        monkeypatch.setattr(neuronpedia, name, value)
    yield made
    made.http.shutdown()
    made.http.server_close()


def fetch(server, source, cache, sae=None, **options):
    pytest.importorskip("httpx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CGAPS_CACHE", str(cache))
        return read(source, sae, **options)


def test_a_bulk_export_over_many_pages_and_failures(server, tmp_path):
    base = f"v1/{MODEL}/{SOURCE}"
    for number in range(7):
        rows = [explanation(10 * number + i, f"label {number}.{i}") for i in range(3)]
        server.files[f"{base}/explanations/batch-{number}.jsonl.gz"] = packed(rows)
    server.files[f"{base}/explanations/readme.txt"] = b"x"
    server.files[f"{base}/source.jsonl"] = json.dumps({"modelId": MODEL, "id": SOURCE}).encode()
    first = f"/{base}/explanations/batch-"
    server.faults = {"/": [500, "cut"], f"{first}0.jsonl.gz": [429, 503], f"{first}1.jsonl.gz": ["cut"]}
    server.faults[f"{first}2.jsonl.gz"] = ["short"]
    imported = fetch(server, f"neuronpedia:{MODEL}/{SOURCE}", tmp_path)
    assert labels(imported) == {10 * n + i: [f"label {n}.{i}"] for n in range(7) for i in range(3)}
    assert server.asked["/"] == 4 + 2, "four pages, two failures"
    assert server.asked[f"{first}0.jsonl.gz"] == 3 and server.asked[f"{first}1.jsonl.gz"] == 2
    assert "agrees" in imported.identity_check and f"{MODEL}/{SOURCE}" in imported.identity_check
    again = fetch(server, f"neuronpedia:{MODEL}/{SOURCE}", tmp_path)
    assert again.table.equals(imported.table)
    assert server.asked[f"{first}0.jsonl.gz"] == 3, "what is there is not fetched again"


def test_a_missing_batch_is_an_error_the_rest_is_kept(server, tmp_path):
    prefix = f"v1/{MODEL}/{SOURCE}/explanations/batch-"
    for number in range(3):
        server.files[f"{prefix}{number}.jsonl.gz"] = packed([explanation(number, "x y")])
    server.faults = {f"/{prefix}1.jsonl.gz": [500] * 4}
    with pytest.raises(UserError, match=r"batch-1\.jsonl\.gz cannot be fetched.*500.*repeat the command"):
        fetch(server, f"neuronpedia:{MODEL}/{SOURCE}", tmp_path)
    assert fetch(server, f"neuronpedia:{MODEL}/{SOURCE}", tmp_path).labelled == 3
    assert server.asked[f"/{prefix}0.jsonl.gz"] == 1


def test_unknown_sources_and_absent_servers_are_clear_errors(server, tmp_path):
    with pytest.raises(UserError, match="no explanations under"):
        fetch(server, f"neuronpedia:{MODEL}/nothing", tmp_path)
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(UserError, match="without a network"):
        fetch(server, f"neuronpedia:{MODEL}/{SOURCE}", tmp_path)
