"""An authority of one's own, and certificates that it signs."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates for 127.0.0.1, until tomorrow."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority")
        basic = x509.BasicConstraints(ca=True, path_length=0)
        signed = _begun(self._name, self._name, self._key).add_extension(basic, critical=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(_pem(signed.sign(self._key, hashes.SHA256())))

    def issue(self, certificate: Path, key: Path | None = None, *, name: str = "voxcli", password: bytes = b"") -> None:
        """Write a certificate and its key: into two files, or into one."""
        own = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")])
        signed = _begun(_name(name), self._name, own).add_extension(names, critical=False)
        public = _pem(signed.sign(self._key, hashes.SHA256()))
        form = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        private = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form)
        if key:
            key.write_bytes(private)
            certificate.write_bytes(public)
        else:
            certificate.write_bytes(public + private)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(name: x509.Name, by: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(by, name, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
