"""Pulls from a local hub, with each of the faults that can occur."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import Hub
from tests.models.conftest import Plan
from voxcli.errors import DeviceError, NotFound, RemoteCut, RemoteError, RequestError
from voxcli.models.download import Pull
from voxcli.models.hub import RemoteFile
from voxcli.models.library import ModelLibrary

WEIGHTS = "model.safetensors"


class Ledger:
    """Adds up the reported progress."""

    def __init__(self, plan: Pull) -> None:
        self.bytes = plan.present

    def __call__(self, file: RemoteFile, count: int) -> None:
        assert count >= 0
        self.bytes += count


def pulled(plan: Pull) -> Path:
    """Pull, and check that the reported progress equals what was missing."""
    ledger = Ledger(plan)
    folder = plan.run(ledger, waits=())
    assert ledger.bytes == plan.size == plan.present
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_a_checkpoint_needs_comes_and_nothing_else(
    hub: Hub, plan: Plan, files: dict[str, bytes], library: ModelLibrary
) -> None:
    folder = pulled(plan())
    assert contents(folder) == files
    assert library.find("voxcpm-1.5") == library.find(hub.model_id) == folder
    assert not hub.asked_for("README.md") + hub.asked_for("picture.png") + hub.asked_for("pytorch_model.bin")


def test_a_second_pull_downloads_nothing(hub: Hub, plan: Plan) -> None:
    folder = pulled(plan())
    hub.log.clear()
    again = plan()
    assert again.present == again.size
    assert pulled(again) == folder
    assert len(hub.log) == 1  # the listing


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_cut_download_goes_on_where_it_ended(
    hub: Hub, plan: Plan, files: dict[str, bytes], library: ModelLibrary, knows_ranges: bool
) -> None:
    half = len(files[WEIGHTS]) // 2
    hub.cut_at[WEIGHTS], hub.knows_ranges = half, knows_ranges
    with pytest.raises(RemoteCut, match=r"What was downloaded is kept"):
        plan().run(lambda file, count: None, waits=())
    assert library.find("voxcpm-1.5") is None

    hub.cut_at.clear()
    hub.log.clear()
    rest = plan()
    assert rest.size - rest.present == len(files[WEIGHTS]) - half
    assert contents(pulled(rest)) == files
    assert {request.range for request in hub.asked_for(WEIGHTS)} == {f"bytes={half}-"}
    assert not hub.asked_for("config.json")


def test_a_connection_that_breaks_once_is_opened_again(hub: Hub, plan: Plan, files: dict[str, bytes]) -> None:
    half = len(files[WEIGHTS]) // 2
    hub.cut_at[WEIGHTS] = half
    begun = plan()
    ledger = Ledger(begun)

    def mend(file: RemoteFile, count: int) -> None:
        ledger(file, count)
        if ledger.bytes == begun.size - len(files[WEIGHTS]) + half:
            hub.cut_at.clear()

    assert contents(begun.run(mend, waits=())) == files
    assert hub.asked_for(WEIGHTS)[-1].range == f"bytes={half}-"


def test_what_arrives_damaged_is_deleted_and_comes_anew(hub: Hub, plan: Plan, files: dict[str, bytes]) -> None:
    for name in ("tokenizer.json", WEIGHTS):  # one with the hash of a git blob, one with the hash of the file
        hub.damaged = {name}
        with pytest.raises(RemoteError, match=rf"{name} is damaged: its hash is wrong"):
            plan().run(lambda file, count: None, waits=())
    hub.damaged.clear()
    assert contents(pulled(plan())) == files


@pytest.mark.parametrize("beginning", [b"something else", bytes(10_000_000)])
def test_a_beginning_of_something_else_does_not_stay(
    plan: Plan, files: dict[str, bytes], library: ModelLibrary, beginning: bytes
) -> None:
    begun = plan()
    weights = next(file for file in begun.listing.files if file.name == WEIGHTS)
    begun.repository.blobs.mkdir(parents=True)
    (begun.repository.blobs / f"{weights.digest}.incomplete").write_bytes(beginning)
    if len(beginning) < weights.size:
        with pytest.raises(RemoteError, match="damaged"):
            plan().run(lambda file, count: None, waits=())
        assert library.find("voxcpm-1.5") is None
    assert contents(pulled(plan())) == files


def test_two_do_not_write_the_same_file(plan: Plan) -> None:
    begun = plan()
    begun.repository.blobs.mkdir(parents=True)
    holder = "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    command = [sys.executable, "-c", holder, str(begun.repository.blobs / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline()
        with pytest.raises(DeviceError, match="Another voxcli is downloading to"):
            begun.run(lambda file, count: None, waits=())
        other.communicate(b"\n")
    pulled(plan())


def test_a_newer_revision_brings_what_changed_and_the_old_one_speaks_until_then(
    hub: Hub, plan: Plan, files: dict[str, bytes], library: ModelLibrary
) -> None:
    old = pulled(plan())
    hub.files = files | {"audiovae.pth": bytes(40_000)}
    hub.commit = "0123456789" * 4
    hub.cut_at["audiovae.pth"] = 20_000
    newer = plan()
    assert newer.size - newer.present == 40_000
    with pytest.raises(RemoteCut):
        newer.run(lambda file, count: None, waits=())
    assert library.find("voxcpm-1.5") == old
    hub.cut_at.clear()
    new = pulled(plan())
    assert new != old
    assert library.find("voxcpm-1.5") == new
    assert library.find(f"voxcpm-1.5@{old.name}") == old


def test_a_revision_can_be_asked_for_by_name(hub: Hub, plan: Plan, library: ModelLibrary) -> None:
    if hub.model_id.startswith("OpenBMB"):
        assert pulled(plan("voxcpm-1.5@master")) == library.find("voxcpm-1.5@master")
        return
    folder = pulled(plan(f"voxcpm-1.5@{hub.commit}"))
    assert library.find(f"voxcpm-1.5@{hub.commit}") == library.find("voxcpm-1.5") == folder
    assert library.find("voxcpm-1.5@v0") is None


@pytest.mark.parametrize("revision", ["../../etc", "/etc", "a/../../b"])
def test_a_revision_is_no_way_out_of_the_folder(hub: Hub, plan: Plan, revision: str) -> None:
    with pytest.raises(RequestError, match="Not a valid revision"):
        plan(revision=revision)
    assert not hub.log


def test_a_revision_that_is_not_there_is_named(plan: Plan) -> None:
    with pytest.raises(NotFound, match="no revision 'v99'"):
        plan(revision="v99")


def test_a_model_that_is_not_there_is_named(plan: Plan) -> None:
    with pytest.raises(NotFound, match=r"someone/nothing.*TOKEN"):
        plan("someone/nothing")


def test_something_else_than_a_checkpoint_is_not_downloaded(hub: Hub, plan: Plan) -> None:
    del hub.files["audiovae.pth"], hub.files["tokenizer.json"]
    with pytest.raises(NotFound, match=r"checkpoint. Missing: audiovae.safetensors or audiovae.pth, tokenizer.json"):
        plan()


def test_without_room_nothing_is_downloaded(hub: Hub, plan: Plan) -> None:
    hub.sizes[WEIGHTS] = 10**18
    with pytest.raises(DeviceError, match=r"needs 1.0 EB more, but .* free"):
        plan().check_room()
    assert len(hub.log) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_hub_in_trouble_is_not_blamed_on_the_model(hub: Hub, plan: Plan, status: int) -> None:
    hub.status = status
    with pytest.raises(RemoteError, match=rf"{status}.*Try again later"):
        plan()


def test_a_hub_that_is_not_there_is_named(hub: Hub, plan: Plan) -> None:
    hub.url = "http://127.0.0.1:1"
    with pytest.raises(RemoteError, match=r"Cannot reach .* at http://127.0.0.1:1"):
        plan()


def test_a_file_that_has_gone_since_is_named(hub: Hub, plan: Plan) -> None:
    begun = plan()
    hub.status = 404
    with pytest.raises(NotFound, match=r"no longer exists.*404"):
        begun.run(lambda file, count: None, waits=())


def test_a_secret_stays_with_the_hub(hub: Hub, plan: Plan) -> None:
    pulled(plan(token="hush-hush"))
    elsewhere = [request for request in hub.log if request.path.startswith("/cdn/")]
    assert {request.token for request in elsewhere} <= {None}
    assert {request.token for request in hub.log if request not in elsewhere} == {"Bearer hush-hush"}
    assert "hush-hush" not in repr(plan())
