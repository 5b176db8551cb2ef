"""Writes an authority (ca.pem), another one (other-ca.pem), and what the first one certifies: a server on this
machine (server.pem, server.key). For the end-to-end tests; valid for a day."""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(name, key, issuer, issuer_key, extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def main(folder):
    def write(name, certificate):
        (folder / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    is_authority = [(x509.BasicConstraints(ca=True, path_length=0), True)]
    authority, authority_key = named("An authority of the tests"), ec.generate_private_key(ec.SECP256R1())
    write("ca.pem", certificate(authority, authority_key, authority, authority_key, is_authority))
    other, other_key = named("Another authority"), ec.generate_private_key(ec.SECP256R1())
    write("other-ca.pem", certificate(other, other_key, other, other_key, is_authority))

    key = ec.generate_private_key(ec.SECP256R1())
    here = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    write("server.pem", certificate(named("localhost"), key, authority, authority_key, [(here, False)]))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.key"
    path.touch(mode=0o600)
    path.write_bytes(private)


main(pathlib.Path(sys.argv[1]))
