"""A store lets the first attempt at a shard count, and what it gives is compared with what was put there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
import time
from pathlib import Path

import pytest
from store_helpers import contents, put

from competency_gaps.checked import with_checksum
from competency_gaps.errors import MachineError, MissingExtraError, UserError
from competency_gaps.runs import store as module
from competency_gaps.runs.remote import OtherSizeError, RemoteFolder
from competency_gaps.runs.store import RunStore
from competency_gaps.shards import ShardFolder

NAME, ROWS, ANSWERS = "b000-0000", b"rows" * 100, b"answers" * 100


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.01)


def folders(place):
    return ShardFolder(place / "activations", ".safetensors"), ShardFolder(place / "responses", ".parquet")


def publish(store, place, *, name=NAME, rows=ROWS, instead_of=()):
    shards = folders(place)
    drafts = [
        folder.draft(name, lambda part, content=content: part.write_bytes(content))
        for folder, content in zip(shards, (rows, ANSWERS), strict=True)
    ]
    return store.publish(name, "input", shards, drafts, instead_of)


def fetch(store, place, made_of="input"):
    """The bytes that come back, as far as they are accepted."""
    shards = folders(place)
    drafts = store.fetch(NAME, made_of, shards)
    return drafts and [(f.folder / d.file).read_bytes() for f, d in zip(shards, drafts, strict=True)]


def test_what_is_published_comes_back(address, tmp_path):
    store = RunStore(address)
    assert store.names() == set() and fetch(store, tmp_path / "b") is None
    assert publish(store, tmp_path / "a")
    assert fetch(RunStore(address), tmp_path / "b") == [ROWS, ANSWERS]
    assert store.names() == {NAME}, "the empty listing is not remembered"
    held = contents(address)
    marker = json.loads(held.pop(f"shards/{NAME}.json"))
    assert {name.split("/")[0]: hashlib.sha256(content).hexdigest() for name, content in held.items()} == {
        kind: file["sha256"] for kind, file in marker["files"].items()
    }
    assert marker["made_of"] == "input"


def test_the_first_of_two_attempts_counts_and_the_second_leaves_nothing(address, tmp_path):
    first, second = RunStore(address), RunStore(address)
    assert publish(first, tmp_path / "a")
    held = contents(address)
    assert not publish(second, tmp_path / "b", rows=b"other rows")
    assert contents(address) == held


def sums(rows):
    return [hashlib.sha256(content).hexdigest() for content in (rows, ANSWERS)]


def test_only_the_shard_that_was_judged_is_replaced(address, tmp_path):
    """Two machines take a poor shard to read it again: the first that is ready counts, whatever the second has read."""
    first, second = RunStore(address), RunStore(address)
    assert publish(first, tmp_path / "a", rows=b"poor")
    assert publish(first, tmp_path / "a", rows=ROWS, instead_of=sums(b"poor"))
    held = contents(address)
    assert len(held) == 3, "the files of a marker that was replaced are removed"
    assert not publish(second, tmp_path / "b", rows=b"poor as well", instead_of=sums(b"poor"))
    assert contents(address) == held and fetch(second, tmp_path / "c") == [ROWS, ANSWERS]


def test_a_marker_that_was_made_anew_meanwhile_stays(tmp_path, monkeypatch):
    """It was damaged at the last look, and another machine has put a good shard in its place before it is removed."""
    address = f"file://{tmp_path}/store"
    store, other = RunStore(address), RunStore(address)
    put(address, f"shards/{NAME}.json", b"{")
    discard = store._discard

    def late(*arguments):
        put(address, f"shards/{NAME}.json", None)
        assert publish(other, tmp_path / "a")
        discard(*arguments)

    monkeypatch.setattr(store, "_discard", late)
    assert fetch(store, tmp_path / "b") is None
    assert fetch(other, tmp_path / "c") == [ROWS, ANSWERS]


def test_of_many_at_once_one_counts(tmp_path):
    address = f"file://{tmp_path}/store"
    start, won = threading.Barrier(8), []

    def attempt(number):
        store = RunStore(address)
        start.wait()
        won.append(publish(store, tmp_path / str(number), rows=b"%d" % number))

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    assert len(contents(address)) == 3 and fetch(RunStore(address), tmp_path / "c")[1] == ANSWERS


def test_creation_is_left_to_the_server(s3_address, monkeypatch):
    """The header arrives there, also where a file is sent in several parts."""
    from moto.s3.responses import S3Response

    received = []
    for name in ("put_object", "_key_response_post"):
        whole = getattr(S3Response, name)

        def recorded(self, *arguments, name=name, whole=whole):
            received.append((name, self.headers.get("If-None-Match")))
            return whole(self, *arguments)

        monkeypatch.setattr(S3Response, name, recorded)
    folder = RemoteFolder(s3_address)
    assert folder.create("a", b"first") and not folder.create("a", b"second")
    assert folder.create("a", b"first"), "an attempt whose answer was lost, and which is sent again, is its own"
    assert received == [("put_object", "*")] * 3
    received.clear()
    with folder._files.open(folder._path("large"), "xb", block_size=5 * 2**20) as file:
        file.write(b"x" * (6 * 2**20))
    assert received[-1] == ("_key_response_post", "*"), "which completes the parts"
    assert contents(s3_address)["a"] == b"first"


def test_a_server_that_overwrites_is_refused(address, monkeypatch):
    files = type(RemoteFolder(address)._files)
    open_ = files.open
    monkeypatch.setattr(
        files, "open", lambda self, path, mode="rb", **o: open_(self, path, mode.replace("x", "w"), **o)
    )
    with pytest.raises(UserError, match="overwrites a file"):
        RunStore(address)


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGE = {
    "flipped": (lambda c: flipped(c), "content of .* does not match its checksum"),
    "cut off": (lambda c: c[:-1], "is cut off"),
    "longer": (lambda c: c + b"?", "is longer"),
    "missing": (lambda c: None, "is missing"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_refused_and_its_shard_made_again(kind, address, tmp_path, caplog):
    damage, words = DAMAGE[kind]
    store = RunStore(address)
    publish(store, tmp_path / "a")
    name = next(name for name in contents(address) if name.startswith("responses/"))
    put(address, name, damage(contents(address)[name]))
    with caplog.at_level(logging.WARNING):
        assert fetch(store, tmp_path / "b") is None
    (record,) = (known for known in caplog.records if known.name == module.__name__)
    assert re.search(rf"shards/{NAME}\.json in .* cannot be used: .*{words}", record.message), record.message
    assert not [path for path in (tmp_path / "b").rglob("*") if path.is_file()], "no half shard is left"
    assert contents(address) == {}, "the marker and the files that it names are removed"
    assert publish(store, tmp_path / "c") and fetch(store, tmp_path / "d") == [ROWS, ANSWERS]


def changed(marker, **values):
    return with_checksum({**marker, **values})


def renamed(marker, name):
    return changed(marker, files={**marker["files"], "responses": {**marker["files"]["responses"], "name": name}})


def resized(marker, size):
    return changed(marker, files={**marker["files"], "responses": {**marker["files"]["responses"], "size": size}})


STRANGE = {
    "upwards": lambda m: renamed(m, f"../../../{NAME}.0123456789abcdef.parquet"),
    "absolute": lambda m: renamed(m, "/etc/passwd"),
    "folder": lambda m: renamed(m, f"x/{NAME}.0123456789abcdef.parquet"),
    "line": lambda m: renamed(m, f"{NAME}.0123456789abcdef.parquet\n"),
    "another shard's": lambda m: renamed(m, "b000-0001.0123456789abcdef.parquet"),
    "no text": lambda m: renamed(m, ["x"]),
    "petabytes": lambda m: resized(m, 10**15),
    "negative": lambda m: resized(m, -1),
    "endless": lambda m: resized(m, 1e300),
    "no files": lambda m: changed(m, files=[]),
    "other input": lambda m: changed(m, made_of="other"),
    "no checksum": lambda m: {**m, "checksum": "0" * 64},
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_marker_reaches_no_other_file(kind, tmp_path, caplog):
    address = f"file://{tmp_path}/deep/store"
    store = RunStore(address)
    publish(store, tmp_path / "a")
    other = "responses/b000-0001.0123456789abcdef.parquet"
    put(address, other, b"another shard's")
    outside = tmp_path / f"{NAME}.0123456789abcdef.parquet"
    outside.write_bytes(b"outside")
    marker = json.loads(contents(address)[f"shards/{NAME}.json"])
    put(address, f"shards/{NAME}.json", json.dumps(STRANGE[kind](marker)).encode())
    with caplog.at_level(logging.WARNING):
        assert fetch(store, tmp_path / "b") is None
    assert "cannot be used" in caplog.text
    assert store.names() == set()
    assert outside.read_bytes() == b"outside" and contents(address)[other] == b"another shard's"
    assert not [path for path in (tmp_path / "b").rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b" " * 20_000])
def test_a_marker_that_is_no_document_is_replaced(content, tmp_path, caplog):
    address = f"file://{tmp_path}/store"
    store = RunStore(address)
    put(address, f"shards/{NAME}.json", content)
    assert fetch(store, tmp_path / "b") is None and "cannot be used" in caplog.text
    assert publish(store, tmp_path / "c") and fetch(store, tmp_path / "d") == [ROWS, ANSWERS]


def test_a_marker_that_is_being_written_is_awaited(tmp_path, monkeypatch, caplog):
    """On a file system a marker is created empty, and filled a moment later."""
    monkeypatch.setattr(module, "_PAUSE", 0.2)
    address = f"file://{tmp_path}/store"
    store = RunStore(address)
    publish(store, tmp_path / "a")
    whole = contents(address)[f"shards/{NAME}.json"]
    put(address, f"shards/{NAME}.json", b"")

    def fill():
        time.sleep(0.3)
        (tmp_path / "store" / "shards" / f"{NAME}.json").write_bytes(whole)

    writer = threading.Thread(target=fill)
    writer.start()
    assert fetch(store, tmp_path / "b") == [ROWS, ANSWERS]
    writer.join()
    assert "cannot be used" not in caplog.text


def test_no_more_is_copied_than_was_declared(address, tmp_path):
    folder = RemoteFolder(address)
    put(address, "large", b"x" * 1000)
    with pytest.raises(OtherSizeError):
        folder.download("large", tmp_path / "copy", 100)
    assert (tmp_path / "copy").stat().st_size <= 100


def test_a_file_that_is_removed_while_it_is_copied_is_missing(address, tmp_path, monkeypatch, caplog):
    """As where another machine removes the files of a shard that it replaces."""
    store = RunStore(address)
    publish(store, tmp_path / "a")
    open_ = store.remote._files.open

    def opened(path, mode="rb", **options):
        file = open_(path, mode, **options)
        if "/responses/" in path:
            monkeypatch.setattr(file, "read", gone)
        return file

    def gone(*arguments):
        raise FileNotFoundError("NoSuchKey")

    monkeypatch.setattr(store.remote._files, "open", opened)
    assert fetch(store, tmp_path / "b") is None
    assert "is missing" in caplog.text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_is_not_taken_for_another_writer(tmp_path, monkeypatch):
    folder = RemoteFolder(f"file://{tmp_path}/store")
    open_ = folder._files.open

    def full(path, mode="rb", **options):
        file = open_(path, mode, **options)
        if mode == "xb":
            file.f.close()
            file.f = nowhere
        return file

    with Path("/dev/full").open("wb") as nowhere, monkeypatch.context() as patch:
        patch.setattr(folder._files, "open", full)
        with pytest.raises(MachineError, match="No space left on device"):
            folder.create("a", b"content")
    assert contents(folder.address) == {}
    assert folder.create("a", b"content")


def test_a_store_belongs_to_one_run(address):
    kinds = {key: {} for key in ("sae", "versions", "benchmarks", "plugins")}
    plan = {
        **kinds,
        "config": {"span": "question", "benchmarks": []},
        "model": {"content_sha256": "a"},
        "hook": ["layers.2", "output"],
    }
    store = RunStore(address)
    assert store.plan() is None
    store.claim(plan)
    RunStore(address).claim(plan)
    assert store.plan() == plan
    differing = re.escape('differs in model.content_sha256 ("a" and "b"), span ("question" and "prompt"). ')
    with pytest.raises(UserError, match=differing):
        store.claim({**plan, "config": {"span": "prompt", "benchmarks": []}, "model": {"content_sha256": "b"}})
    put(address, "plan.json", b"{}")
    with pytest.raises(UserError, match=r"plan\.json in the store .* is damaged: it has no checksum"):
        store.claim(plan)
    without = {key: value for key, value in plan.items() if key != "versions"}
    put(address, "plan.json", json.dumps(with_checksum(without)).encode())
    with pytest.raises(UserError, match=r"plan\.json in the store .* is damaged: no usable entry versions"):
        store.plan()


def test_a_plan_that_no_machine_could_read_is_not_written(address):
    """It holds the items of benchmarks that are given as objects."""
    store = RunStore(address)
    with pytest.raises(UserError, match="Write these into files"):
        store.claim({"config": {"benchmarks": ["x" * 2**25]}})
    assert store.plan() is None and contents(address) == {}


@pytest.mark.parametrize(
    "text", ["s3://AKIA:hush@bucket/run", "s3://AKIA@bucket", "s3://bucket/run?key=hush", "https://u:hush@host/x#y"]
)
def test_credentials_in_an_address_are_refused_and_not_repeated(text):
    with pytest.raises(UserError, match="by the environment") as caught:
        RunStore(text)
    assert "hush" not in str(caught.value) and "AKIA" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["bucket/run", "/folder", "s3:/bucket", "s3://", "", "s3://a b", "filecache::s3://b/r"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UserError, match="expected an address with a scheme"):
        RunStore(text)


def test_packages_that_are_not_installed_are_named(monkeypatch):
    import sys

    from fsspec.registry import _registry

    for scheme in ("gs", "gcs"):
        monkeypatch.delitem(_registry, scheme, raising=False)
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingExtraError, match=r"'gcsfs'.*gcs"):
        RunStore("gs://bucket/run")
    with pytest.raises(UserError, match="Protocol not known: nowhere"):
        RunStore("nowhere://bucket/run")


def test_a_bucket_that_does_not_exist(s3_client):
    with pytest.raises(UserError, match="'s3://absent/run' cannot be used: there is no such bucket"):
        RunStore("s3://absent/run")
    assert [bucket["Name"] for bucket in s3_client.list_buckets()["Buckets"]] == ["bucket"], "none is made"


def test_no_credentials(s3_address, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"credentials.*AWS_PROFILE"):
        RunStore(s3_address)


def test_a_connection_that_is_lost(s3_address, tmp_path, monkeypatch):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://{}:{}".format(*server.get_host_and_port()))
    store = RunStore(s3_address)
    server.stop()
    monkeypatch.setattr(type(store.remote._files), "retries", 1)
    for action in (store.names, store.plan, lambda: publish(store, tmp_path / "a"), lambda: fetch(store, tmp_path)):
        with pytest.raises(MachineError, match=r"does not answer, or refuses.*What is finished is kept") as caught:
            action()
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
