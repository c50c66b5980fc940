"""Text sources for build_corpus: Debian packages and how to read plain English or code out of each."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from markup import code_text, html_text, man_text, pod_text, unwrap

Reader = Callable[[Path], Iterator[str]]
B64 = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
CHARSXP = b"\x00\x04\x00\x09"  # the mark before a string in what R serialises


@dataclass(frozen=True)
class Source:
    """One package (or several that form one work), with its reader and its weight in its kind's budget."""

    packages: tuple[str, ...]
    kind: str
    reader: Reader
    weight: float = 1.0
    pack: bool = False  # join short items (fortunes, dictionary entries) into one document

    @property
    def name(self) -> str:
        return self.packages[0]


def read_any(path: Path) -> str:
    """The text of a file, unpacked if gzipped; undecodable bytes become U+FFFD, which the filter rejects."""
    raw = path.read_bytes()
    if path.suffix in (".gz", ".dz"):
        raw = gzip.decompress(raw)
    return raw.decode("utf-8", errors="replace").replace("\r\n", "\n")


def files(pattern: str, convert: Callable[[str], str] = str, drop: str = r"$^", limit: int = 400_000) -> Reader:
    """A reader over files of a package, in the order of their paths; very large files are generated ones."""

    def read(root: Path) -> Iterator[str]:
        for path in sorted(root.glob(pattern)):
            if path.is_file() and not path.is_symlink() and not re.search(drop, str(path)):
                text = read_any(path) if path.stat().st_size < 4 * limit else ""
                if 0 < len(text) <= 4 * limit:
                    yield convert(text)

    return read


def dict_entries(root: Path) -> Iterator[tuple[str, str]]:
    """(headword, entry) of a dictd database, by its index; words that share an entry give it once."""
    data = gzip.decompress(next(root.glob("usr/share/dictd/*.dz")).read_bytes())
    seen: set[tuple[int, int]] = set()
    for line in next(root.glob("usr/share/dictd/*.index")).read_text("utf-8").splitlines():
        word, *place = line.split("\t")
        start, size = (_number(x) for x in place[:2])
        if (start, size) not in seen and not word.startswith("00"):
            seen.add((start, size))
            yield word, data[start : start + size].decode("utf-8", errors="replace")


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 64 + B64[digit]
    return value


def clean_gcide(entry: str) -> str:
    """A GCIDE entry without pronunciation, etymology and the marks of its sources."""
    entry = re.sub(r"\\[^\\\n]{1,80}\\,?", "", entry)
    entry = re.sub(r"\([^()\n]{0,40}[\[\]'\"*`][^()\n]{0,40}\)(?=,)|--AS\b|\[AS\]|\bAS\b", "", entry)
    entry = re.sub(r"\[[^][]*(?:Webster|WordNet|PJC|Century|\b[A-Z][a-z]*\.|fr\.|See)[^][]*\]", "", entry)
    return re.sub(r" +([,.;])", r"\1", unwrap(re.sub(r"[{}]|\[\s*\]", "", entry)))


def entries(clean: Callable[[str], str]) -> Reader:
    def read(root: Path) -> Iterator[str]:
        for _, entry in dict_entries(root):
            text = clean(entry)
            if len(text) > 60:
                yield text

    return read


def foldoc(entry: str) -> str:
    return unwrap(re.sub(r"[{}]|\[[^]]*\?\]|\(\d{4}-\d\d-\d\d\)|<[\w, ]+> ", "", entry))


def fortunes(root: Path) -> Iterator[str]:
    # lists whose jokes rest on a group of people, or that are drawings or code, are left out
    left_out = {
        "ascii-art",
        "ethnic",
        "men-women",
        "drugs",
        "translate-me",
        "zippy",
        "perl",
        "politics",
        "love",
    }
    for path in sorted(root.glob("usr/share/games/fortunes/*")):
        if path.is_file() and not path.suffix and path.name not in left_out:
            for item in re.split(r"\n%\n", read_any(path)):
                if 40 < len(item) < 3000:
                    yield item.replace("\t", "    ").strip("\n")


def austen(root: Path) -> Iterator[str]:
    """The six novels: R keeps them as serialised character vectors in compressed blocks."""
    data = (root / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    place = 0
    while place + 4 < len(data):
        # lazy-load blocks carry no own length, but each codec says where its stream ended
        block, used = _r_block(data[place + 4 :], data[place + 4 : place + 5])
        place += 4 + used
        lines = []
        found = block.find(CHARSXP)
        while found >= 0:
            size = max(0, struct.unpack(">i", block[found + 4 : found + 8])[0])  # -1 stands for NA
            lines.append(block[found + 8 : found + 8 + size].decode("utf-8", errors="replace"))
            found = block.find(CHARSXP, found + 8 + size)
        yield unwrap("\n".join(lines))


def _r_block(rest: bytes, mark: bytes) -> tuple[bytes, int]:
    if mark in (b"2", b"Z"):
        reader = (
            bz2.BZ2Decompressor()
            if mark == b"2"
            else lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
        )
        block = reader.decompress(rest[1:])
        return block, len(rest) - len(reader.unused_data)
    plain = zlib.decompressobj()
    block = plain.decompress(rest)
    return block, len(rest) - len(plain.unused_data)


def sword(root: Path) -> Iterator[str]:
    """A SWORD zText module: fixed-size index records point at zlib blocks of marked-up verses."""
    for index in sorted(root.glob("usr/share/sword/modules/texts/ztext/*/*.bzs")):
        data = index.with_suffix(".bzz").read_bytes()
        raw = index.read_bytes()
        for i in range(0, len(raw) - 11, 12):
            start, size, _ = struct.unpack("<III", raw[i : i + 12])
            if size:
                text = zlib.decompress(data[start : start + size]).decode("utf-8", errors="replace")
                text = re.sub(r"<note.*?</note>|<RF>.*?<Rf>|<title.*?</title>", "", text, flags=re.S)
                text = re.sub(r"</?(?:w|q|transChange|divineName)\b[^>]*>", "", text)  # these stand inside words
                text = re.sub(r"<[^>]*>", " ", text.replace("\x00", " "))
                text = re.sub(r"[ \t\r\n]+", " ", text)
                yield re.sub(r"((?:[^.?!]*[.?!]+[”’\")]*\s){5})", r"\1\n\n", text)


def wesnoth(root: Path) -> Iterator[str]:
    """The story and the dialogue of a campaign, a line of dialogue as "Name: words"."""
    for path in sorted(root.glob("usr/share/games/wesnoth/*/data/campaigns/*/scenarios/*.cfg")):
        parts, speaker = [], ""
        found = re.finditer(r'\b(speaker|story|message)\s*=\s*(?:_\s*"((?:[^"]|"")*)"|([\w ]+))', read_any(path))
        for key, quoted, bare in (m.groups() for m in found):
            if key == "speaker":
                speaker = (bare or "").strip()
            elif quoted:
                words = re.sub(r"<[^>]*>|\^", "", quoted.replace('""', '"')).strip()
                told = key == "story" or speaker in ("narrator", "", "unit", "second_unit")
                parts.append(words if told else f"{speaker}: {words}")
        if parts:
            yield "\n\n".join(re.sub(r"\s*\n\s*", " ", p) for p in parts)


def glibc(root: Path) -> Iterator[str]:
    archive = next(root.glob("usr/src/glibc/*.tar.xz"))
    with tarfile.open(archive) as tar:
        for item in tar:
            if (
                item.name.endswith(".c")
                and item.size < 60_000
                and re.search(
                    r"/(stdlib|string|stdio-common|posix|misc|time|elf|nptl|io|socket|resolv|inet|malloc|iconv|locale)/",
                    item.name,
                )
                and "/tst-" not in item.name
                and "/test-" not in item.name
            ):
                handle = tar.extractfile(item)
                yield code_text(handle.read().decode("utf-8", errors="replace")) if handle else ""


def _wesnoth() -> tuple[str, ...]:
    return tuple(
        f"wesnoth-1.18-{c}"
        for c in [
            "did",
            "dm",
            "dw",
            "l",
            "low",
            "nr",
            "sof",
            "sota",
            "sotbe",
            "thot",
            "tsg",
            "ttb",
            "utbs",
            "wof",
            "httt",
        ]
    )


NOT_TEXT = r"genindex|py-modindex|/index\.html|search\.html|copyright|changelog|delta\.pod|toc\.html"
SOURCES: tuple[Source, ...] = (
    Source(("r-cran-janeaustenr",), "prose", austen, 1.5),
    Source(
        ("anarchism",),
        "prose",
        files("usr/share/doc/anarchism/html/*.html", html_text, r"bibl|links|index"),
        1.3,
    ),
    Source(
        ("debian-handbook",),
        "prose",
        files("usr/share/doc/debian-handbook/html/en-US/*.html", html_text, NOT_TEXT),
    ),
    Source(_wesnoth(), "prose", wesnoth, 2.0),
    Source(("sword-text-web",), "prose", sword, 0.7),
    Source(("fortunes", "fortunes-min"), "prose", fortunes, 1.0, pack=True),
    Source(("dict-foldoc",), "prose", entries(foldoc), 0.8, pack=True),
    Source(("dict-jargon",), "prose", entries(foldoc), 1.0, pack=True),
    Source(("dict-devil",), "prose", entries(unwrap), 1.0, pack=True),
    Source(("debian-history",), "prose", files("usr/share/doc/debian-history/docs/*.en.html", html_text)),
    Source(("gnome-user-docs",), "prose", files("usr/share/help/C/*/*.page", html_text)),
    Source(("dict-gcide",), "dictionary", entries(clean_gcide), 1.0, pack=True),
    Source(("manpages",), "documentation", files("usr/share/man/man*/*.gz", man_text)),
    Source(("manpages-dev",), "documentation", files("usr/share/man/man*/*.gz", man_text)),
    Source(
        ("git-doc",),
        "documentation",
        files("usr/share/doc/git-doc/*.html", html_text, NOT_TEXT + "|RelNotes"),
    ),
    Source(
        ("postgresql-doc-17",),
        "documentation",
        files("usr/share/doc/postgresql-doc-17/html/*.html", html_text, NOT_TEXT),
    ),
    Source(
        ("python3.13-doc",),
        "documentation",
        files("usr/share/doc/python3.13/html/**/*.html", html_text, NOT_TEXT),
    ),
    Source(("perl-doc",), "documentation", files("usr/share/perl/5*/pod/*.pod", pod_text, NOT_TEXT)),
    Source(("libreoffice-help-en-us",), "documentation", files("usr/**/text/**/*.html", html_text, NOT_TEXT)),
    Source(
        ("developers-reference",),
        "documentation",
        files("usr/share/developers-reference/*.html", html_text, NOT_TEXT),
        0.5,
    ),
    Source(
        ("debian-faq",),
        "documentation",
        files("usr/share/doc/debian/FAQ/*.en.html", html_text, NOT_TEXT),
        0.5,
    ),
    Source(("debian-policy",), "documentation", files("usr/share/doc/debian-policy/*.txt.gz", str, NOT_TEXT), 0.5),
    Source(
        ("libpython3.13-stdlib",),
        "code",
        files("usr/lib/python3.13/**/*.py", code_text, drop=r"_data|encodings|pydoc_data"),
        2.5,
    ),
    Source(
        ("golang-1.24-src",),
        "code",
        files("usr/share/go-1.24/src/**/*.go", code_text, drop=r"_test\.go|tables|zerrors|/test", limit=15_000),
    ),
    Source(("glibc-source",), "code", glibc, 1.5),
    Source(
        ("perl-modules-5.40",),
        "code",
        files("usr/share/perl/5.40.*/**/*.pm", code_text, drop=r"unicore|Collate|Locale/Codes"),
        0.8,
    ),
    Source(
        ("eslint", "node-express"),
        "code",
        files("usr/share/nodejs/**/*.js", code_text, drop=r"/dist/|\.min\."),
        1.0,
    ),
    Source(("webpack",), "code", files("usr/share/nodejs/webpack/lib/**/*.js", code_text), 0.8),
    Source(
        ("libruby3.3",),
        "code",
        files("usr/lib/ruby/3.3.0/**/*.rb", code_text, drop=r"unicode_normalize|rdoc/markdown"),
        0.8,
    ),
    Source(("bash-completion",), "code", files("usr/share/bash-completion/completions/*", code_text), 0.7),
    Source(("tcllib",), "code", files("usr/share/tcltk/tcllib*/**/*.tcl", code_text), 0.4),
)


def licences(root: Path, package: str) -> list[str]:
    """The licence names that the package's copyright file states, at most ten."""
    folder = root / "usr/share/doc" / package
    if folder.is_symlink():
        return [f"as in {folder.readlink().name}"]
    if (folder / "copyright").is_symlink():
        return [f"as in {(folder / 'copyright').readlink().parent.name}"]
    text = (folder / "copyright").read_text("utf-8", errors="replace")
    named: list[str] = re.findall(r"(?m)^License:[ \t]*(\S.*)$", text) if text.startswith("Format") else []
    stated = r"(?i)public domain|GNU (?:\w+ ){1,4}License|PSF LICENSE|common-licenses/[\w.-]+\w"
    names = named or re.findall(stated, text)
    return list(dict.fromkeys(" ".join(n.split())[:60] for n in names))[:10] or ["see the copyright file"]
