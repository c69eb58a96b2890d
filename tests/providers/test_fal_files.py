"""Files on their way to fal's storage: an answer that names a place in our own network gets none of them."""

import io

import httpx
import pytest

from catalog.providers.fal_files import upload
from catalog.providers.queue import UnreachableError
from genfeed.net import addresses
from tests.net.servers import serving, whole


def bring(upload_url: str, *, size: int = 4) -> str:
    """Hands a file over to where fal's answer says."""
    answer = {"upload_url": upload_url, "file_url": "https://v3.fal.media/files/a.png"}
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer))) as client:
        return upload(client, io.BytesIO(b"\x89PNG"), name="a.png", content_type="image/png", size=size)


@pytest.mark.parametrize("size", [4, 100 * 1024 * 1024], ids=["whole", "in parts"])
def test_a_file_is_never_sent_into_our_own_network(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    with serving(whole(b"{}")) as served:
        monkeypatch.setattr(addresses, "WEB_PORTS", {served.port})
        with pytest.raises(UnreachableError, match="not on the public internet"):
            bring(served.url(), size=size)

    assert served.requests == []


@pytest.mark.parametrize("address", ["http://169.254.169.254/", "http://[::1]/a", "file:///etc/passwd"])
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(UnreachableError, match=r"public internet|only http and https"):
        bring(address)
