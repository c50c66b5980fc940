from __future__ import annotations

import sys

import pytest

from competency_gaps.cli import app as application


@pytest.fixture
def cli(monkeypatch, capsys):
    """``cgaps`` in this process, on a screen of 80 columns: exit status, standard output, standard error."""
    for name in ("LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(application, "_quiet_libraries", lambda console: None)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cgaps", *arguments])
        with pytest.raises(SystemExit) as leave:
            application.main()
        out, err = capsys.readouterr()
        return int(leave.value.code or 0), out, err

    return call
