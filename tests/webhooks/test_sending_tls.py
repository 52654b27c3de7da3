"""Over TLS the connection goes to the judged address, and the certificate is that of the name."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.webhooks.receiver import Receiver, receiving
from webapp.webhooks import address
from webapp.webhooks.sending import post

NAME = "receiver.example"

pytestmark = [
    pytest.mark.usefixtures("private_allowed"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate: apt install openssl"),
]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate of NAME in one file, signed by itself."""
    made, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={NAME} -addext subjectAltName=DNS:{NAME}"
    command = ["openssl", *words.split(), "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    made.write_text(key.read_text() + made.read_text())
    return made


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "look_up", lambda host: ["127.0.0.1"])


def names_asked_for(receiver: Receiver, certificate: Path) -> list[str | None]:
    """Let the receiver speak TLS; the list fills with the names its callers ask for."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    return names


def test_a_trusted_certificate_of_the_name_is_taken(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    receiver = Receiver(200)
    names = names_asked_for(receiver, certificate)
    with receiving(receiver):
        assert post(f"https://{NAME}:{receiver.port}/", b"{}", {}) == (200, "")
    assert names == [NAME]
    assert len(receiver.deliveries) == 1


def test_another_name_s_certificate_is_refused(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    receiver = Receiver(200)
    names_asked_for(receiver, certificate)
    with receiving(receiver):
        answer = post(f"https://other.example:{receiver.port}/", b"{}", {})
    assert "the certificate is not to be trusted (Hostname mismatch" in answer.error
    assert receiver.deliveries == []


def test_a_certificate_nobody_vouches_for_is_refused(certificate: Path) -> None:
    receiver = Receiver(200)
    names_asked_for(receiver, certificate)
    with receiving(receiver):
        answer = post(f"https://{NAME}:{receiver.port}/", b"{}", {})
    assert "the certificate is not to be trusted (self-signed certificate" in answer.error
    assert receiver.deliveries == []
