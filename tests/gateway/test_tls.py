"""Where the gateway may listen."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from openmm.errors import ConfigError
from openmm.gateway.tls import check_address, is_loopback, load_certificate


@pytest.mark.parametrize(
    ("host", "is_"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True),
        ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
        ("192.0.2.7", False),
    ],
)  # fmt: skip
def test_loopback_is_what_nobody_outside_reaches(host: str, is_: bool) -> None:
    assert is_loopback(host) is is_


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match=r"--host: an address of this host .*got 'no name'"):
        is_loopback("no name")


@pytest.mark.parametrize(
    ("host", "secure", "clients", "missing"),
    [
        ("127.0.0.1", False, 0, ""),
        ("0.0.0.0", False, 1, "--cert and --key"),
        ("0.0.0.0", True, 0, "openmm token add"),
        ("10.0.0.1", False, 0, "--cert and --key"),
        ("0.0.0.0", True, 1, ""),
    ],
)
def test_elsewhere_needs_both_tls_and_a_client(
    host: str, secure: bool, clients: int, missing: str
) -> None:
    if not missing:
        check_address(host, secure=secure, clients=clients)
        return
    with pytest.raises(ConfigError, match=missing):
        check_address(host, secure=secure, clients=clients)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    made = trustme.CA().issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made.cert_chain_pems[0].write_to_path(str(cert))
    key.touch(0o600)
    made.private_key_pem.write_to_path(str(key))
    return cert, key


def test_certificate_and_key_make_a_server_of_tls_1_2_and_up(files: tuple[Path, Path]) -> None:
    context = load_certificate(*files)
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert load_certificate(None, None) is None


def test_what_is_wrong_with_the_files_is_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    cert, key = files
    for pair, told in (
        ((cert, None), "--key: a file: --cert and --key go together"),
        ((None, key), "--cert: a file"),
        ((tmp_path / "none", key), "--cert: a file in PEM form"),
        ((key, key), "--cert: a certificate and the key to it"),
    ):
        with pytest.raises(ConfigError, match=told):
            load_certificate(*pair)
    key.chmod(0o640)
    with pytest.raises(ConfigError, match="for its owner only: chmod 600"):
        load_certificate(cert, key)
