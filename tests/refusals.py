"""Refusals of requests, as the command line shows them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from voxcli.errors import RequestError, VoxError


@contextmanager
def refused(words: str, kind: type[VoxError] = RequestError) -> Iterator[None]:
    """Expect an error whose advice on the command line has these words, and whose message names no option."""
    with pytest.raises(kind) as caught:
        yield
    assert re.search(words, caught.value.for_command_line)
    assert " --" not in str(caught.value), "a client of a server reads it too"
