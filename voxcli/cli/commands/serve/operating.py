"""Options of `voxcli serve` for those who run it for others: TLS, and a log of requests."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.errors import did_you_mean

if TYPE_CHECKING:
    from voxcli.server.settings import TlsFiles

_PANEL = "TLS and log"
_FORMATS = ("text", "json")


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
