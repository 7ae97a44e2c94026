"""Errors of the hubs, and the cache shared with Hugging Face's own library."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download

from tests.hub import Hub, serving
from voxcli.errors import NotFound, RemoteError, RemoteRefused, RequestError
from voxcli.models.catalog import HubName
from voxcli.models.download import plan_pull
from voxcli.models.hubs import open_hub
from voxcli.models.library import ModelLibrary

MODEL = "openbmb/VoxCPM1.5"


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    with serving(Hub(MODEL, files)) as hub:
        yield hub


def pulled(hub: Hub, library: ModelLibrary, token: str = "none") -> Path:
    plan = plan_pull(library, MODEL, open_hub("huggingface", endpoint=hub.url, token=token))
    return plan.run(lambda file, count: None, waits=())


def test_a_gated_model_says_how_to_get_in(hub: Hub, library: ModelLibrary) -> None:
    hub.gated = True
    with pytest.raises(RemoteRefused, match=rf"accept its terms at {hub.url}/{MODEL}.*HF_TOKEN") as caught:
        pulled(hub, library)
    assert caught.value.status == 403
    assert library.find(MODEL) is None
    assert pulled(hub, library, token="allowed") == library.find(MODEL)


def test_a_private_model_says_how_to_get_in(hub: Hub, library: ModelLibrary) -> None:
    hub.token = "mine"
    with pytest.raises(NotFound, match=r"or it is private.*HF_TOKEN"):
        pulled(hub, library)
    assert pulled(hub, library, token="mine")


def test_what_we_pulled_other_programs_find(hub: Hub, library: ModelLibrary) -> None:
    folder = pulled(hub, library)
    assert snapshot_download(MODEL, cache_dir=library.shared, local_files_only=True) == str(folder)
    scan = scan_cache_dir(library.shared)
    assert scan.warnings == []
    assert {(repo.repo_id, repo.size_on_disk) for repo in scan.repos} == {
        (MODEL, sum(map(len, hub.files.values()))),
    }


def test_what_another_program_pulled_we_find(hub: Hub, library: ModelLibrary) -> None:
    for name in hub.files:
        assert library.find(MODEL) is None
        path = hf_hub_download(MODEL, name, cache_dir=library.shared, endpoint=hub.url, token=False)
    assert library.find(MODEL) == library.find("voxcpm-1.5") == Path(path).parent
    hub.log.clear()
    assert pulled(hub, library) == Path(path).parent
    assert [request.path for request in hub.log] == [f"/api/models/{MODEL}/revision/main"]


def test_only_the_model_that_is_named_is_removed_from_the_shared_cache(hub: Hub, library: ModelLibrary) -> None:
    other = library.shared / "models--else--other" / "snapshots" / "0123456" / "config.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    pulled(hub, library)
    library.remove("voxcpm-1.5")
    assert library.find(MODEL) is None
    assert [path.name for path in library.shared.iterdir() if path.name.startswith("models--")] == [
        "models--else--other"
    ]
    assert other.exists()


def test_a_model_that_has_only_begun_to_come_is_removed_too(hub: Hub, library: ModelLibrary) -> None:
    hub.cut_at = dict.fromkeys(hub.files, 10)
    with pytest.raises(RemoteError):
        pulled(hub, library)
    assert [model.missing for model in library.installed()] == [("all files",)]
    library.remove(MODEL)
    assert library.installed() == []


def test_a_token_that_is_not_accepted_is_blamed(hub: Hub, library: ModelLibrary) -> None:
    hub.status = 401
    hub.headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
    with pytest.raises(RemoteRefused, match=r"Invalid credentials.*Check HF_TOKEN"):
        pulled(hub, library)


@pytest.mark.parametrize("commit", ["../../../etc", "", "c0ffee/.."])
def test_what_a_hub_says_cannot_reach_out_of_the_folder(hub: Hub, library: ModelLibrary, commit: str) -> None:
    hub.commit = commit
    with pytest.raises(RemoteError, match="no valid hashes"):
        pulled(hub, library)
    assert not library.shared.exists()


def test_a_name_that_no_hub_allows_is_refused(library: ModelLibrary, hub: Hub) -> None:
    with pytest.raises(RequestError, match="is not a valid model id on Hugging Face"):
        plan_pull(library, "a--b/c..d", open_hub("huggingface", endpoint=hub.url, token="none"))


@pytest.mark.parametrize("answer", [b"", b"[]", b"null", b'{"Success": true}', b'{"Success": true, "Data": null}'])
def test_an_answer_that_makes_no_sense_is_an_error_in_words(hub: Hub, library: ModelLibrary, answer: bytes) -> None:
    hub.listing = answer
    names: tuple[HubName, ...] = ("modelscope", "huggingface")
    for name in names:
        with pytest.raises(RemoteError, match=r"ModelScope sent an invalid response|Hugging Face"):
            plan_pull(library, MODEL, open_hub(name, endpoint=hub.url, token="none"))


def test_modelscope_says_why_it_refuses(hub: Hub, library: ModelLibrary) -> None:
    hub.listing = b'{"Code": 10010, "Success": false, "Message": "under review"}'
    with pytest.raises(RemoteError, match="under review"):
        plan_pull(library, MODEL, open_hub("modelscope", endpoint=hub.url))
    hub.status = 403
    with pytest.raises(RemoteRefused, match="MODELSCOPE_API_TOKEN"):
        plan_pull(library, MODEL, open_hub("modelscope", endpoint=hub.url))


@pytest.mark.parametrize("name", ["huggingface", "modelscope"])
@pytest.mark.parametrize(
    ("proxy", "words"),
    [("nonsense://here", "ALL_PROXY has an unknown scheme"), ("socks5://127.0.0.1:9", "proxy socks5://127.0.0.1:9")],
)
def test_a_proxy_that_does_not_work_is_named(
    proxy: str, words: str, name: HubName, library: ModelLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(RemoteError, match=words):
        plan_pull(library, MODEL, open_hub(name, endpoint="https://hub.test"))


def test_a_hub_on_this_machine_is_reached_past_proxies(
    hub: Hub, library: ModelLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "nonsense://here")
    assert pulled(hub, library)
