"""The page: the files that the front end is built to, and its content security policy."""

from __future__ import annotations

from pathlib import Path

from competency_gaps.util.errors import UserError

PAGE = Path(__file__).with_name("static")
FILES = {
    "index.html": "text/html; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "licenses.txt": "text/plain; charset=utf-8",
    "font-license.txt": "text/plain; charset=utf-8",
}
"""Name of each file of the page -> its media type."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What a browser may load for the page: its own files and data, and nothing from another host."""


class PageMissingError(UserError):
    """The page was not built."""


def page_files(folder: Path = PAGE) -> dict[str, bytes]:
    """Return the content of the page's files.

    Returns
    -------
    dict
        Name -> content, for each of ``FILES``.

    Raises
    ------
    PageMissingError
        If the page was not built.
    """
    absent = [name for name in FILES if not (folder / name).is_file()]
    if absent:
        raise PageMissingError(
            f"the explorer's page was not built: {folder} has no {', '.join(absent)}. In a checkout, build it with "
            "'make page' (needs Node.js); an installed package includes it."
        )
    return {name: (folder / name).read_bytes() for name in FILES}
