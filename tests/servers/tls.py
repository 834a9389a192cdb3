"""A certificate for a server on 127.0.0.1, by an authority that nobody knows who is not told."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Three files."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def for_redis(self) -> dict[str, str]:
        """Say it as Redis' command line does; clients need no certificate of their own."""
        return {
            "--tls-ca-cert-file": str(self.authority),
            "--tls-cert-file": str(self.certificate),
            "--tls-key-file": str(self.key),
            "--tls-auth-clients": "no",
        }

    @property
    def for_rabbitmq(self) -> dict[str, str]:
        """Say it as RabbitMQ's configuration does."""
        return {
            "ssl_options.cacertfile": str(self.authority),
            "ssl_options.certfile": str(self.certificate),
            "ssl_options.keyfile": str(self.key),
        }


def issue_certificate(place: Path) -> Certificate:
    """Make one in a directory."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = Certificate(authority=place / "ca.pem", certificate=place / "certificate.pem", key=place / "key.pem")
    authority.cert_pem.write_to_path(str(files.authority))
    issued.cert_chain_pems[0].write_to_path(str(files.certificate))
    issued.private_key_pem.write_to_path(str(files.key))
    return files
