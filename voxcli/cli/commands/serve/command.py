"""`voxcli serve`: an HTTP server with the protocols of VoxCPM, OpenAI and GPT-SoVITS."""

import importlib
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voxcli.cli.commands.serve.operating import OperatingOptions
from voxcli.cli.commands.serve.options import (
    AgentOptions,
    LimitOptions,
    ListenOptions,
    ProxyOptions,
    ServedOptions,
    VoiceForAll,
)
from voxcli.cli.commands.serve.protocols import ChatOptions, WyomingOptions, is_this_machine
from voxcli.cli.commands.serve.replicas import Deployment, ReplicaOptions, run_replicas
from voxcli.cli.console import Console, logs_on_console
from voxcli.cli.options import parameters as options
from voxcli.cli.options.groups import grouped
from voxcli.cli.parser.help import documented
from voxcli.errors import NotFound
from voxcli.installation import install_command

if TYPE_CHECKING:
    from voxcli.server.settings import ServerSettings


@documented(
    "voxcli serve --open",
    "voxcli serve --model voxcpm-1.5 --host 0.0.0.0 --api-key-file keys",
    "voxcli serve --remote http://other:9880",
    "voxcli serve --llm http://localhost:11434/v1",
    "voxcli serve --wyoming 127.0.0.1:10200",
    "voxcli serve --replicas auto",
    basics=(
        *("host", "port", "open", "key_file", "insecure", "model", "voice", "device", "quantize", "remote", "llm"),
        *("slots", "wyoming"),
    ),
)
@grouped
def serve(
    context: typer.Context,
    listen: ListenOptions,
    proxies: ProxyOptions,
    limits: LimitOptions,
    chat: ChatOptions,
    wyoming: WyomingOptions,
    agents: AgentOptions,
    operating: OperatingOptions,
    copies: ReplicaOptions,
    engine: ServedOptions,
    voice: VoiceForAll = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Serve speech over HTTP. The APIs are those of VoxCPM, OpenAI and GPT-SoVITS.

    With --remote it is a gateway to other servers, whatever their protocol.

    The first Ctrl-C or SIGTERM lets running streams finish. The second one exits immediately.
    """
    console = Console(quiet=quiet)
    if listen.insecure and listen.key_file:
        raise typer.BadParameter("--insecure contradicts --api-key-file: with keys, requests without one are refused.")
    keys = _read_keys(listen.key_file, console) if listen.key_file else frozenset()
    if not keys and not listen.insecure and not is_this_machine(listen.host):
        raise typer.BadParameter(
            f"On {listen.host}, anyone in the network could use the server. Require API keys with --api-key-file FILE "
            "(one key per line), or allow open access with --insecure.",
            param_hint="--host",
        )
    address = wyoming.to_address(insecure=listen.insecure)
    _check_installed()
    from voxcli.cli.commands.chosen import engine_settings, with_default_clip
    from voxcli.cli.commands.serve.run import run
    from voxcli.cli.commands.voice_choice import choose_voice_for_all

    with logs_on_console(console, verbose=verbose, notes=True):
        chosen = with_default_clip(engine_settings(engine), engine.ref_audio, engine.ref_text, engine.ref_lang)
        voice, chosen = choose_voice_for_all(context, voice, chosen, console)
        settings = _settings(listen, proxies, limits, keys, voice)
        settings = replace(settings, language_model=chat.to_settings(), tls=operating.to_tls())
        if isinstance(context.obj, Deployment):
            context.obj.settings, context.obj.engine = settings, chosen
            return
        if copies.replicas:
            copies.check(wyoming=address, remote=chosen.remote, access_log=operating.access_log, open=listen.open)
            run_replicas(settings, chosen, console, replicas=copies.replicas)
            return
        plays = is_this_machine(listen.host) if agents.mcp_speak is None else agents.mcp_speak
        form = operating.access_log
        run(
            settings,
            chosen,
            console,
            plays=plays,
            folder=agents.mcp_folder,
            wyoming=address,
            access_log=form,
            opens=listen.open,
        )


def _settings(
    listen: ListenOptions, proxies: ProxyOptions, limits: LimitOptions, keys: frozenset[str], voice: str | None
) -> "ServerSettings":
    from voxcli.cli.settings.files import find_user_places
    from voxcli.server.settings import ServerSettings

    return ServerSettings(
        host=listen.host,
        port=listen.port,
        keys=keys,
        allowed_hosts=tuple(listen.allow_host or ()),
        cors_origins=tuple(listen.cors or ()),
        trusted_proxies=tuple(proxies.trust_proxy or ()),
        root_path=proxies.root_path,
        slots=limits.slots,
        queue=limits.queue,
        receive_seconds=limits.receive_seconds,
        pause_seconds=limits.pause_seconds,
        spool_file_bytes=limits.spool_mb * 2**20,
        max_characters=limits.max_characters,
        socket_idle_seconds=limits.socket_seconds,
        writer_seconds=limits.writer_seconds,
        max_sockets=limits.max_sockets,
        max_utterance_characters=limits.max_written,
        strict_models=limits.strict_models,
        lazy=limits.lazy,
        idle_seconds=limits.idle_seconds,
        voices=find_user_places().voices,
        voice=voice,
    )


def _read_keys(path: Path, console: Console) -> frozenset[str]:
    try:
        text, mode = path.read_text("utf-8"), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise typer.BadParameter(f"Cannot read {path}: {reason}.", param_hint="--api-key-file") from error
    lines = (line.strip() for line in text.splitlines())
    keys = frozenset(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise typer.BadParameter(f"{path} contains no key. Write one per line.", param_hint="--api-key-file")
    if sys.platform != "win32" and mode & (stat.S_IRGRP | stat.S_IROTH):
        console.warning(f"Other users can read the keys in {path}. Run: chmod 600 {path}")
    return keys


def _check_installed() -> None:
    for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise NotFound(
                f"The server needs {name}, which is not installed. Run: {install_command('serve')}"
            ) from error
