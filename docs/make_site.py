"""Build the site into site/ (``make site``).

    python docs/make_site.py

The pages are copied to build/docs, where the generated ones join them; Zensical makes HTML of all, by mkdocs.yml. Each
page's Markdown then lies beside its HTML, and llms.txt lists them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import columns
import gallery
import make_reference
import notebooks
import yaml

ROOT = Path(__file__).resolve().parent.parent
STAGE, SITE = ROOT / "build" / "docs", ROOT / "site"
BUILD = (sys.executable, "-m", "zensical", "build", "--strict", "--clean")
ELSEWHERE = {"CONTRIBUTING.md": "contributing.md", "perf/README.md": "perf.md", "CHANGELOG.md": "changelog.md"}
"""Pages that lie outside docs/, and their names in the site."""
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#:]+)(#[^)\s]*)?\)")
NOT_READ = re.compile(r" \{ #[\w.]+ \}$|^<!--.*?-->\n", re.MULTILINE)
"""Anchors and comments."""
FENCED = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def stage() -> None:
    """Copy and write all pages to where Zensical reads them."""
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "images", STAGE / "images")
    shutil.copy(ROOT / "docs" / "site.css", STAGE)
    pages = {path: path.name for path in sorted((ROOT / "docs").glob("*.md"))}
    pages |= {ROOT / path: name for path, name in ELSEWHERE.items()} | {ROOT / "README.md": "index.md"}
    pages |= {path: f"{name}.md" for name, path in notebooks.NOTEBOOKS.items()}
    for path, name in pages.items():
        if path != ROOT / "README.md":  # the site has its own first page
            text = notebooks.markdown(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
            write(name, relink(text, path.parent, pages))
    write("commands.md", make_reference.commands_page())
    write("python.md", make_reference.python_page())
    write("tables.md", columns.tables_page())
    gallery.main(ROOT / "demo-run", STAGE / "gallery")


def write(name: str, text: str) -> None:
    """Write one page."""
    (STAGE / name).write_text(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", encoding="utf-8")


def relink(text: str, folder: Path, pages: dict[Path, str]) -> str:
    """A page's text, from a folder, whose links lead to pages of the site; files that are none of them are named."""

    def leads(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        if target in pages:
            return f"{found[1]}({pages[target]}{found[3] or ''})"
        outside = target.exists() and not target.is_relative_to(ROOT / "docs")
        return f"{found[1][1:-1]} (`{target.relative_to(ROOT)}`)" if outside else found[0]

    return "".join(part if part.startswith("```") else LINK.sub(leads, part) for part in FENCED.split(text))


def names(nav: Any) -> Iterator[tuple[str, str]]:
    """Each page of the navigation, with the section that it is in."""
    for entry in nav:
        for section, pages in [("Start", [entry])] if isinstance(entry, str) else entry.items():
            yield from ((section, page) for page in pages)


def write_markdown() -> None:
    """Put each page's Markdown beside its HTML, and write llms.txt and llms-full.txt."""
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)  # it takes any tag as text
    lines, whole, last = [f"# {config['site_name']}", "", f"> {config['site_description']}."], [], ""
    for section, page in names(config["nav"]):
        text = NOT_READ.sub("", (STAGE / page).read_text(encoding="utf-8"))
        (SITE / page).write_text(text, encoding="utf-8")
        lines += ["", f"## {section}", ""] if section != last else []
        lines.append(f"- [{text.partition(chr(10))[0].lstrip('# ')}]({page})")
        whole.append(text)
        last = section
    (SITE / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (SITE / "llms-full.txt").write_text("\n".join(whole), encoding="utf-8")


def main() -> None:
    """Build."""
    stage()
    if subprocess.run(BUILD, cwd=ROOT, check=False).returncode:
        sys.exit("the site was not built")
    write_markdown()


if __name__ == "__main__":
    main()
