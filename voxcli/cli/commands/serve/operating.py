"""Options of `voxcli serve` for those who run it for others: TLS, a log of requests, and traces."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import Console
from voxcli.errors import did_you_mean
from voxcli.installation import install_command

if TYPE_CHECKING:
    from voxcli.server.operating.telemetry import Tracing
    from voxcli.server.settings import TlsFiles

_PANEL = "TLS and log"
_FORMATS = ("text", "json")
_ENDPOINTS = ("EXPORTER_OTLP_ENDPOINT", "EXPORTER_OTLP_TRACES_ENDPOINT")
"""Variables of OpenTelemetry, without their prefix."""
_PROTOCOL = "http/protobuf"


def _check_format(value: str | None) -> str | None:
    if value is not None and value not in _FORMATS:
        raise typer.BadParameter(
            f"Unknown format {value!r}.{did_you_mean(value, _FORMATS)} Choose from: {', '.join(_FORMATS)}."
        )
    return value


CertificateFile = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert",
        metavar="FILE",
        help="Certificate for HTTPS, in PEM, with those between it and its authority. Read again when it changes.",
        rich_help_panel=_PANEL,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--tls-key",
        metavar="FILE",
        help="Its private key, in PEM. Default: in the file of --tls-cert.",
        rich_help_panel=_PANEL,
    ),
]
AccessLog = Annotated[
    str | None,
    typer.Option(
        "--access-log",
        metavar="text|json",
        help="Write a line for each request to standard output, without any text of a user.",
        autocompletion=lambda: list(_FORMATS),
        callback=_check_format,
        rich_help_panel=_PANEL,
    ),
]


def new_tracing(environment: Mapping[str, str], console: Console) -> "Tracing | None":
    """Return what exports traces, if the standard variables ask for that."""
    named = {name.removeprefix("OTEL_"): value.strip().lower() for name, value in environment.items()}
    exporters = named.get("TRACES_EXPORTER") or ("otlp" if any(named.get(name) for name in _ENDPOINTS) else "none")
    if named.get("SDK_DISABLED") == "true" or "otlp" not in exporters.split(","):
        return None
    protocol = named.get("EXPORTER_OTLP_TRACES_PROTOCOL") or named.get("EXPORTER_OTLP_PROTOCOL") or _PROTOCOL
    if protocol != _PROTOCOL:
        console.warning(f"no traces: {protocol} is not supported; set OTEL_EXPORTER_OTLP_PROTOCOL={_PROTOCOL}")
        return None
    try:
        from voxcli.server.operating.telemetry import Tracing
    except ModuleNotFoundError as error:
        console.warning(f"no traces: {error.name} is not installed. For it: {install_command('telemetry')}")
        return None
    return Tracing()


@dataclass(frozen=True, slots=True)
class OperatingOptions:
    """TLS, and a log of requests."""

    tls_cert: CertificateFile = None
    tls_key: KeyFile = None
    access_log: AccessLog = None

    def to_tls(self) -> "TlsFiles | None":
        """Return the files; None for HTTP. Raises typer.BadParameter."""
        from voxcli.server.settings import TlsFiles

        if self.tls_cert is None:
            if self.tls_key:
                raise typer.BadParameter("Name its certificate with --tls-cert.", param_hint="--tls-key")
            return None
        return TlsFiles(certificate=self.tls_cert, key=self.tls_key)
