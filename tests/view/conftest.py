"""Small hostile runs, made once."""

from __future__ import annotations

import pytest
from explorer_extras import with_improvements, with_lists, with_models
from explorer_runs import Made, hostile_run


@pytest.fixture(scope="session")
def hostile(tmp_path_factory) -> Made:
    """A run with labels, an atlas and activations of tokens, and its dictionary; nothing may be written into it."""
    return hostile_run(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="session")
def modelled(hostile, tmp_path_factory) -> Made:
    """The same with the scores of five other models."""
    return with_models(hostile, tmp_path_factory.mktemp("modelled"))


@pytest.fixture(scope="session")
def listed(hostile, tmp_path_factory) -> Made:
    """The same compared with a list of one entry."""
    return with_lists(hostile, tmp_path_factory.mktemp("listed"))


@pytest.fixture(scope="session")
def improved(modelled, tmp_path_factory) -> Made:
    """The run of several models with all that ``cgaps improve`` writes."""
    return with_improvements(modelled, tmp_path_factory.mktemp("improved"))


@pytest.fixture(scope="session")
def bare(tmp_path_factory) -> Made:
    """The same without labels and atlas."""
    return hostile_run(tmp_path_factory.mktemp("bare"), atlas=False, labels=False)


@pytest.fixture(scope="module")
def opened(hostile):
    """The hostile run as an explorer opens it."""
    from competency_gaps.view.page.opened import open_runs

    return open_runs([hostile.run])


@pytest.fixture(scope="module")
def client(opened):
    """A client of its server."""
    from explorer_server import served

    with served(opened) as found:
        yield found
