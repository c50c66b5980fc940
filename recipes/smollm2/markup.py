"""From marked-up files (HTML, Mallard, roff, POD, source code) to the words in them, for build_corpus."""

from __future__ import annotations

import html.parser
import re

HTML_BLOCKS = {
    "p",
    "div",
    "li",
    "dt",
    "dd",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "tr",
    "pre",
    "table",
    "ul",
    "ol",
}
HTML_BLOCKS |= {"dl", "br", "section", "title", "blockquote", "item"}
HTML_SKIPPED = {"script", "style", "nav", "head", "footer", "svg", "info", "table"}


class _Text(html.parser.HTMLParser):
    """HTML or Mallard XML to paragraphs, with navigation and tables left out and <pre> kept as it is."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.skip = 0
        self.pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skip += tag in HTML_SKIPPED
        self.pre += tag in ("pre", "screen")
        if tag in HTML_BLOCKS:
            self.out.append("\n" if tag in ("li", "br") else "\n\n")
        if tag == "li":
            self.out.append("- ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in HTML_BLOCKS:
            self.out.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.skip -= tag in HTML_SKIPPED and self.skip > 0
        self.pre -= tag in ("pre", "screen") and self.pre > 0
        if tag in HTML_BLOCKS and tag not in ("li", "br"):
            self.out.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self.skip:
            return
        if not self.pre:
            data = re.sub(r"\s+", " ", data)
            data = data.lstrip() if self.out and self.out[-1].endswith("\n") else data
        self.out.append(data)


def html_text(page: str) -> str:
    parser = _Text()
    parser.feed(re.sub(r"</key>\s*<key>", "+", page))  # Mallard's key sequences carry no sign between keys
    text = re.sub(r"[ \t]+\n", "\n", "".join(parser.out).replace("¶", "").replace("\xa0", " "))
    text = re.sub(r"(?m)^- *\n+", "- ", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


ROFF_CODES = {r"\-": "-", r"\e": "\\", r"\~": " ", r"\ ": " "}
for _code, _plain in zip(
    ["bu", "aq", "dq", "em", "en", "co", "rs", "ti", "ha", "cq", "lq", "rq", "oq"],
    ["*", "'", '"', "--", "-", "(c)", "\\", "~", "^", "'", '"', '"', "'"],
    strict=True,
):
    ROFF_CODES |= {rf"\({_code}": _plain, rf"\[{_code}]": _plain}


def man_text(page: str) -> str:
    """A small roff stripper: groff is not needed, and the layout of a page matters less than its words."""
    page = re.sub(r'(?m)\\".*$', "", page)
    page = re.sub(r"\\f(?:\[[^]]*\]|\(..|.)|\\s[-+]?\d|\\[&,/|^:%c]", "", page)
    for code, plain in ROFF_CODES.items():
        page = page.replace(code, plain)
    parts: list[list[str]] = [[]]
    literal = heading = False  # literal: between .nf and .fi; heading: the next line is a tag of its own
    for line in page.split("\n"):
        found = re.match(r"[.']\s*([A-Za-z]+)\s*(.*)", line)
        if found and found[1] in ("nf", "EX", "fi", "EE"):
            literal = found[1] in ("nf", "EX")
            parts.append(["\n"] if literal else [])
            continue
        if found and found[1] in ("PP", "P", "LP", "TP", "IP", "sp", "TQ", "RE", "SH", "SS"):
            parts.append([])
            heading = found[1] in ("TP", "TQ")
        words = _roff_words(found[1], found[2]) if found else "" if line.startswith((".", "'")) else line
        if words.strip():
            parts[-1].append(words)
            if heading or (found and found[1] in ("SH", "SS", "IP")):
                parts.append([])
                heading = False
    return "\n\n".join("\n".join(p[1:]) if p[:1] == ["\n"] else " ".join(p) for p in parts if p)


def _roff_words(macro: str, rest: str) -> str:
    """The words that a macro line shows; the macros of two fonts join their arguments without spaces."""
    if macro in ("BR", "RB", "IR", "RI", "BI", "IB"):
        return "".join(a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', rest))
    words = re.sub(r'"([^"]*)"', r"\1", rest)
    if macro == "IP":
        return re.sub(r"\s+\d+n?$", "", words)
    return words if macro in ("SH", "SS", "B", "I", "SB", "SM") else ""


def pod_text(page: str) -> str:
    for _ in range(3):  # formatting codes nest
        page = re.sub(r"[BCIFSL]<(?:[^<>|]*\|)?([^<>]*)>", r"\1", page)
    page = page.replace("E<gt>", ">").replace("E<lt>", "<")
    page = re.sub(r"(?m)^=(?:head\d|item)\s*", "", page)
    return re.sub(r"(?m)^=\w+.*$", "", page)


def code_text(text: str) -> str:
    """Source code without the licence comment that it starts with."""
    block, lines = r"(?s:/\*.*?\*/)", r"(?:[ \t]*(?:#|//).*\n|[ \t]*\n)+"
    head = re.match(rf"\s*(?:#!.*\n)?\s*(?:{block}|{lines})", text)
    licensed = head and re.search(r"(?i)copyright|licen[cs]e|redistribut", head[0])
    return text[head.end() :].lstrip("\n") if head and licensed else text


def unwrap(text: str) -> str:
    """Join the lines of a hard-wrapped paragraph, so that dictionaries do not teach one fixed line width."""
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(re.sub(r"\s*\n\s*", " ", p).strip() for p in paragraphs if p.strip())
