"""Hugging Face client, through its own library.

The files themselves are downloaded by `download`: the library (2.4) restarts an interrupted file and checks no hash.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import UNAUTHORIZED
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url, scan_cache_dir, set_client_factory
from huggingface_hub.errors import (
    CacheNotFound,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from voxcli.connections import explain_unreached, find_proxy
from voxcli.errors import NotFound, RemoteError, RemoteRefused, RequestError
from voxcli.models.catalog import HubName
from voxcli.models.hub import Listing, RemoteFile
from voxcli.version import __version__

# A pull should request the model and nothing else; the library would also report the platform.
constants.HF_HUB_DISABLE_TELEMETRY = True

_TIMEOUT_SECONDS = 15.0
_TOKEN = "Create a token at https://huggingface.co/settings/tokens and set HF_TOKEN to it, or run `hf auth login`."


class HuggingFace:
    """https://huggingface.co, or a mirror of it."""

    name: HubName = "huggingface"
    main_branch = "main"

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self._endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self._proxy = find_proxy(self._endpoint)
        set_client_factory(self._new_client)
        self._headers = build_hf_headers(token=token, library_name="voxcli", library_version=__version__)
        self._api = HfApi(self._endpoint, token)

    def _new_client(self) -> httpx2.Client:
        """Return a client for the library, whose own one fails for some settings of proxies."""
        return httpx2.Client(
            follow_redirects=True,
            timeout=None,
            verify=httpx2.create_ssl_context(),
            proxy=self._proxy.url if self._proxy else None,
            trust_env=False,
        )

    def read_listing(self, model_id: str, revision: str) -> Listing:
        with self._translated(model_id, revision):
            info = self._api.model_info(model_id, revision=revision, files_metadata=True, timeout=_TIMEOUT_SECONDS)
            if info.gated:
                self._api.auth_check(model_id)
        commit = info.sha or ""
        files = [self._file(model_id, commit, sibling) for sibling in info.siblings or ()]
        return Listing(model_id, revision, commit, tuple(files), self._headers)

    def _file(self, model_id: str, commit: str, sibling: RepoSibling) -> RemoteFile:
        name, large = sibling.rfilename, sibling.lfs
        url = hf_hub_url(model_id, name, revision=commit, endpoint=self._endpoint)
        if large:
            return RemoteFile(name, large.size, large.sha256, url)
        return RemoteFile(name, sibling.size or 0, sibling.blob_id or "", url)

    @contextmanager
    def _translated(self, model_id: str, revision: str) -> Iterator[None]:
        page = f"{self._endpoint}/{model_id}"
        if constants.HF_HUB_OFFLINE:  # the library checks this in its own client only
            raise RemoteError("HF_HUB_OFFLINE is set, so downloads are disabled. Unset it and try again.")
        try:
            yield
        except GatedRepoError as error:
            raise RemoteRefused(
                f"{model_id} is gated. Log in and accept its terms at {page}. {_TOKEN}",
                error.response.status_code,
            ) from error
        except RepositoryNotFoundError as error:
            raise NotFound(
                f"There is no model {model_id!r} at {page}, or it is private. For a private one: {_TOKEN}"
            ) from error
        except RevisionNotFoundError as error:
            raise NotFound(f"{model_id} has no revision {revision!r}. See {page}/commits/main.") from error
        except HFValidationError as error:
            raise RequestError(f"{model_id!r} is not a valid model id on Hugging Face: {error}.") from error
        except HfHubHTTPError as error:
            status = error.response.status_code
            reason = " ".join((error.server_message or error.response.reason_phrase).split())
            advice = "Check HF_TOKEN." if status == UNAUTHORIZED else "Try again later."
            raise RemoteRefused(f"Hugging Face answered {status} for {page}: {reason}. {advice}", status) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RemoteError(
                f"{self._endpoint} does not answer like Hugging Face ({error!r}). "
                "Check HF_ENDPOINT, and whether this network requires a login."
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            reason = explain_unreached(error, self._endpoint, self._proxy)
            raise RemoteError(
                f"Cannot reach Hugging Face at {self._endpoint}{reason} "
                "Set HF_ENDPOINT to a mirror, or take another hub.",
                on_command_line="Pull with: --from modelscope",
            ) from error


def remove_cached(cache: Path, model_id: str) -> None:
    """Remove all revisions of one model from the cache, except those that the library considers corrupted."""
    try:
        repositories = scan_cache_dir(cache)
    except CacheNotFound:
        return
    commits = [
        revision.commit_hash
        for repository in repositories.repos
        if repository.repo_type == "model" and repository.repo_id == model_id
        for revision in repository.revisions
    ]
    repositories.delete_revisions(*commits).execute()
