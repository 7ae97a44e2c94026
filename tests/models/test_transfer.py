"""Download of one file over a real socket, interrupted at any byte."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hub import Hub, serving
from voxcli.errors import RemoteCut, RemoteError
from voxcli.models.download import fetch, open_client
from voxcli.models.hub import RemoteFile

NAME = "file"
DATA = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serving(Hub("a/b", {NAME: DATA})) as hub:
        yield hub


def file_on(hub: Hub) -> RemoteFile:
    return RemoteFile(NAME, len(DATA), hub.digest_of(NAME), f"{hub.url}/cdn/{NAME}")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(DATA) - 1), max_size=4), knows_ranges=st.booleans())
def test_wherever_it_is_cut_the_pieces_are_the_whole_and_each_byte_arrives_once(
    hub: Hub, tmp_path: Path, cuts: list[int], knows_ranges: bool
) -> None:
    path, arrived = tmp_path / "partial", list[int]()
    path.unlink(missing_ok=True)
    hub.knows_ranges = knows_ranges
    with open_client({}, hub.url) as client:
        for cut in sorted(cuts):
            hub.cut_at = {NAME: cut}
            with pytest.raises(RemoteCut):
                fetch(client, file_on(hub), path, lambda file, count: arrived.append(count), waits=())
            assert path.read_bytes() == DATA[: sum(arrived)]
        hub.cut_at = {}
        fetch(client, file_on(hub), path, lambda file, count: arrived.append(count), waits=())
    assert path.read_bytes() == DATA
    assert sum(arrived) == len(DATA)


def test_a_file_that_is_all_here_is_verified_without_the_hub(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "partial"
    path.write_bytes(DATA)
    hub.log.clear()
    with open_client({}, hub.url) as client:
        fetch(client, file_on(hub), path, lambda file, count: None, waits=())
        path.write_bytes(DATA[::-1])
        with pytest.raises(RemoteError, match="damaged"):
            fetch(client, file_on(hub), path, lambda file, count: None, waits=())
    assert not path.exists()
    assert not hub.log


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.status = 503
    with open_client({}, hub.url) as client:
        with pytest.raises(RemoteCut, match=r"503.*What was downloaded is kept"):
            fetch(client, file_on(hub), tmp_path / "partial", lambda file, count: None, waits=(0.01, 0.02))
        hub.status = None
        fetch(client, file_on(hub), tmp_path / "partial", lambda file, count: None, waits=())
    assert [record.message[-23:-1] for record in caplog.records if record.levelname == "WARNING"] == [
        "Trying again in 0.01 s",
        "Trying again in 0.02 s",
    ]


def test_an_address_that_makes_no_sense_is_an_error_in_words(tmp_path: Path) -> None:
    file = RemoteFile(NAME, 1, "0" * 64, "http://hub:port/file")
    with open_client({}, "http://127.0.0.1:9") as client, pytest.raises(RemoteError, match="Cannot request file"):
        fetch(client, file, tmp_path / "partial", lambda file, count: None, waits=())
