"""The command that adds optional parts fits the way in which voxcli was installed."""

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

from voxcli import installation
from voxcli.installation import describe_installation, install_command, reinstall_command

CASES = [
    (None, 'install "voxcli[local]"'),
    ({"url": "file:///home/me/voxcli", "dir_info": {"editable": True}}, 'install -e "/home/me/voxcli[local]"'),
    ({"url": "file:///home/me/my%20code", "dir_info": {}}, 'install "/home/me/my code[local]"'),
    (
        {"url": "file:///tmp/voxcli-1.0-py3-none-any.whl", "archive_info": {}},
        'install "/tmp/voxcli-1.0-py3-none-any.whl[local]"',
    ),
    (
        {"url": "https://example.org/voxcli.whl", "archive_info": {}},
        'install "voxcli[local] @ https://example.org/voxcli.whl"',
    ),
    (
        {
            "url": "https://example.org/v.git",
            "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "c0"},
        },
        'install "voxcli[local] @ git+https://example.org/v.git@main"',
    ),
]


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path, origin: object, installer: str = "pip") -> None:
    """Pretend that voxcli was installed so, into an environment in a folder."""
    info = folder / "voxcli-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: voxcli\nVersion: 1.0\n")
    (info / "INSTALLER").write_text(f"{installer}\n")
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.setattr(metadata, "distribution", lambda name: metadata.PathDistribution(info))
    monkeypatch.setattr(sys, "prefix", str(folder))


@pytest.mark.parametrize(("origin", "ending"), CASES)
def test_it_names_where_voxcli_came_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, origin: object, ending: str
) -> None:
    installed(monkeypatch, tmp_path, origin)
    assert install_command("local").endswith(ending)


def test_it_uses_the_program_that_installed_voxcli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed(monkeypatch, tmp_path, None, "uv")
    assert install_command("serve") == f'uv pip install --python {sys.executable} "voxcli[serve]"'
    (tmp_path / "uv-receipt.toml").touch()
    assert install_command("serve") == 'uv tool install --force "voxcli[serve]"'
    (tmp_path / "pipx_metadata.json").touch()
    assert install_command("serve") == 'pipx install --force "voxcli[serve]"'
    assert reinstall_command("torch") == "pipx runpip voxcli install --force-reinstall torch"


@pytest.mark.parametrize(
    ("origin", "installer", "beside", "words"),
    [
        (None, "pip", "", "1.0, installed by pip"),
        (
            {"url": "file:///home/me/my%20code", "dir_info": {}},
            "pip",
            "",
            "1.0, installed by pip from /home/me/my code",
        ),
        (CASES[1][0], "uv", "", "1.0, installed by uv from the checkout /home/me/voxcli"),
        (None, "uv", "uv-receipt.toml", "1.0, installed by uv tool"),
        (None, "pip", "pipx_metadata.json", "1.0, installed by pipx"),
        (None, "pip", "voxcli-image", "1.0, in the container image cpu"),
    ],
)
def test_it_says_how_voxcli_was_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, origin: object, installer: str, beside: str, words: str
) -> None:
    installed(monkeypatch, tmp_path, origin, installer)
    if beside:
        (tmp_path / beside).write_text("cpu local,serve\n")
    assert describe_installation() == words


def test_an_image_is_built_again_and_an_environment_of_uvx_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "archive-v0" / "x"
    folder.mkdir(parents=True)
    installed(monkeypatch, folder, None, "uv")
    assert describe_installation() == "1.0, installed by uvx"
    assert install_command("serve") == 'uvx --from "voxcli[serve]" voxcli'
    (folder / "voxcli-image").write_text("cuda local,serve\n")
    assert install_command("plot").startswith("docker build -f examples/deploy/Dockerfile --target cuda ")
    assert install_command("plot").endswith(" --build-arg EXTRAS=local,serve,plot .")


def test_it_names_this_python_if_the_shell_finds_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed(monkeypatch, tmp_path, None)
    monkeypatch.setattr(installation.shutil, "which", lambda name: "/usr/bin/pip")
    assert install_command("local") == f'{sys.executable} -m pip install "voxcli[local]"'
    monkeypatch.setattr(installation.shutil, "which", lambda name: str(Path(sys.executable).with_name("pip")))
    assert install_command("local") == 'pip install "voxcli[local]"'


def test_a_source_folder_is_installed_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert install_command("local").endswith(f'"{Path(installation.__file__).parents[1]}[local]"')
    assert describe_installation() == f"not installed: run from {Path(installation.__file__).parents[1]}"
