"""TLS of the server: a certificate and its key, read again when their files change."""

import logging
import ssl
from typing import Any, NoReturn

from voxcli.errors import RequestError
from voxcli.server.settings import TlsFiles

_log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int], ...]
"""When each file was changed, in nanoseconds, and its number."""


class Certificate:
    """What connections are encrypted with: a renewed certificate from the next connection on.

    A certificate that cannot be used is named in the log, and the one before stays.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Raises RequestError: the files cannot be used."""
        self._files = files
        self._stamp = self._changed()
        self.context = self._load()
        self.context.sni_callback = self._renew  # is called for every connection, with and without a name
        self._current = self.context

    def _renew(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        stamp = self._changed()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._current = self._load()
            except RequestError as error:
                _log.warning("the certificate before is still used: %s", error)
            else:
                _log.info("the certificate was renewed")
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        files = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(files.certificate, files.key, password=_refuse_password)
        except ssl.SSLError as error:
            raise _explain(error, files) from error
        except (OSError, ValueError) as error:
            missing = next((path for path in (files.certificate, files.key) if path and not path.is_file()), None)
            what = f"There is no file {missing}." if missing else f"The certificate cannot be read: {error}."
            raise RequestError(what, on_command_line="Name others with --tls-cert and --tls-key.") from error
        return context

    def _changed(self) -> _Stamp:
        found = []
        for path in filter(None, (self._files.certificate, self._files.key)):
            try:
                status = path.stat()
            except OSError:  # it is just being replaced
                found.append((0, 0))
            else:
                found.append((status.st_mtime_ns, status.st_ino))
        return tuple(found)


def _refuse_password() -> NoReturn:
    raise ValueError("the private key is protected by a password, which a server cannot be asked for")


def _explain(error: ssl.SSLError, files: TlsFiles) -> RequestError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return RequestError(f"The private key in {files.key or files.certificate} is not that of {files.certificate}.")
    if files.key is None and "PRIVATE KEY" not in files.certificate.read_text("utf-8", "replace"):
        message = f"There is no private key in {files.certificate}."
        return RequestError(message, on_command_line="Name its file with --tls-key.")
    both = f"{files.certificate} and {files.key}" if files.key else str(files.certificate)
    return RequestError(f"There is no certificate with its private key, in PEM, in {both}.")
