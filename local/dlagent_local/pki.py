"""Certificates and kubeconfigs of a cluster, under a certificate authority of its own.

Everything that listens on a port asks for them, etcd too: other users of the machine reach the
loopback interface as well.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = datetime.timedelta(days=365)
_CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class Identity:
    """Whom a certificate is for: the user and groups as Kubernetes reads them, and its hosts."""

    common_name: str
    organization: str = ""
    hosts: tuple[str, ...] = ()


def identities(service_address: str) -> dict[str, Identity]:
    """All the certificates of a cluster by file name; those with hosts serve as well."""
    local = ("localhost", "127.0.0.1")
    in_cluster = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", service_address)
    return {
        "etcd": Identity("etcd", hosts=local),
        "kube-apiserver": Identity("kube-apiserver", "system:masters", local + in_cluster),
        "kubelet": Identity("system:node:localhost", "system:nodes", local),
        "kube-controller-manager": Identity("system:kube-controller-manager", hosts=local),
        "kube-scheduler": Identity("system:kube-scheduler", hosts=local),
        "admin": Identity("dlagent-local-admin", "system:masters"),
    }


class Authority:
    """A certificate authority that writes NAME.crt and NAME.key into one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dlagent-local")])
        certificate = (
            _builder(self._name, self._key.public_key())
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_authority_usage(), critical=True)
            .add_extension(self._key_identifier(), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        _write(folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))

    def _key_identifier(self) -> x509.SubjectKeyIdentifier:
        return x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())

    def issue(self, file_name: str, identity: Identity) -> None:
        """Write a certificate for use as client and server, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)]
        if identity.organization:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.organization))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            _builder(x509.Name(attributes), key.public_key())
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    self._key_identifier()
                ),
                critical=False,
            )
        )
        if identity.hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in identity.hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        _write(self._folder / f"{file_name}.crt", pem)
        write_key(self._folder / f"{file_name}.key", key)


def write_all(folder: Path, service_address: str) -> None:
    """Every certificate of a cluster, and the key that signs service account tokens."""
    authority = Authority(folder)
    for file_name, identity in identities(service_address).items():
        authority.issue(file_name, identity)
    write_key(folder / "service-accounts.key", ec.generate_private_key(ec.SECP256R1()))


def write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key that only its owner can read, in the one form that all parts read."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    _write(file, pem)


def write_kubeconfig(file: Path, pki: Path, user: str, server: str, context: str) -> None:
    """A kubeconfig that holds its certificates itself, so that it can be copied."""

    def embedded(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": embedded("ca.crt")}
    credentials = {
        "client-certificate-data": embedded(f"{user}.crt"),
        "client-key-data": embedded(f"{user}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
        "current-context": context,
    }
    _write(file, json.dumps(config, indent=1).encode())


def _builder(name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(file: Path, content: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content)
