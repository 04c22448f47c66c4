"""Here every test that takes a journal runs on every kind of journal."""

import pytest


@pytest.fixture
def journal(any_journal: str) -> str:
    """A journal that does not exist yet, of one kind and then of the other."""
    return any_journal
