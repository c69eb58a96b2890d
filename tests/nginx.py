"""A real nginx with the configuration that deploy/ has, on ports of its own and before processes of a test."""

import datetime
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.sandbox_server import ROOT, free_port

CONFIGURATION = ROOT / "deploy" / "nginx" / "genfeed.conf"
START_SECONDS = 20
# Debian has it where only root's PATH leads.
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_MAIN = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/genfeed.conf;
}}
"""


def need_nginx() -> None:
    """Skips the test where there is no nginx."""
    if NGINX is None:
        pytest.skip("nginx is not installed; as root on Debian `make nginx` installs it")


def configured(text: str, replacements: dict[str, str]) -> str:
    """The configuration with other paths and ports; each that is to be replaced must be there."""
    for old, new in replacements.items():
        assert old in text, f"the configuration has no {old!r}"
        text = text.replace(old, new)
    return text


@contextmanager
def running_nginx(folder: Path, *, port: int, short: Sequence[int], waiting: Sequence[int]) -> Iterator[str]:
    """nginx with TLS on `port`, before processes on these ports; its address. Plain HTTP is on a port of its own."""
    assert NGINX is not None
    folder.mkdir()
    _make_certificate(folder)
    text = CONFIGURATION.read_text()
    for group, ports in (("genfeed_short", short), ("genfeed_waiting", waiting)):
        servers = "\n".join(f"    server 127.0.0.1:{one};" for one in ports)
        text = configured(text, {f"upstream {group} {{\n    server 127.0.0.1:8000;": f"upstream {group} {{\n{servers}"})
    text = configured(
        text,
        {
            "listen 80;": f"listen 127.0.0.1:{free_port()};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
            "media.example.com": "127.0.0.1",
            "/etc/ssl/genfeed": str(folder),
            "/var/log/nginx/": f"{folder}/",
        },
    )
    (folder / "genfeed.conf").write_text(text)
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user))
    with (folder / "output").open("wb") as output:
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        base_url = f"https://127.0.0.1:{port}"
        _wait_until_it_answers(base_url, process, folder)
        yield base_url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(base_url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{base_url}/metrics", verify=False, trust_env=False, timeout=2)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nginx did not start:\n{(folder / 'output').read_text()}")


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
