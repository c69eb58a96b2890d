"""Which addresses may be fetched: the public internet, over http and https, and what the operator names."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore

import pytest

from genfeed.net.addresses import GuardError, RefusedAddressError, is_public, public_addresses, read_address


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1",
        "fd00:ec2::254", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
        "2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "fe80::1%eth0", "", "nonsense",
        "::7f00:1", "::127.0.0.1", "::a9fe:a9fe", "::ffff:0:7f00:1", "::ffff:0:10.0.0.1", "fec0::1", "5f00::1",
        "4000::1", "64:ff9b:1::7f00:1", "100::1", "2001:0:7f00:1::", "0:0:0:0:0:ffff:7f00:1", "2002:a9fe:a9fe::1",
        "168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_none(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_an_address_of_the_public_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a", "file:///etc/passwd", "gopher://example.com", "data:text/plain,a", "//example.com/a",
        "example.com/a", "", "http://", "http:///a", "http://user@example.com/", "http://user:word@example.com/",
        "http://example.com:0/", "http://example.com:22/", "http://example.com:8080/", "https://example.com:99999/", "http://[::1/",
        "http://exa mple.com/", "http://example.com/a b", "http://example.com/\r\nHost: b", "http://example.com/ü",
        "http://" + "a" * 5000,
        "http://example.com\\@127.0.0.1/", "http://127.0.0.1%2f@example.com/", "http://example.com:80@127.0.0.1/",
        "http://example.com:٨٠/", "http://exam\tple.com/", "http://:80/", "javascript:alert(1)", "http:example.com",
    ],
)  # fmt: skip
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(RefusedAddressError):
        read_address(url)


def test_a_url_is_taken_apart() -> None:
    address = read_address("https://Media.Example.COM./a/b.mp4?c=d#e")
    assert (address.scheme, address.host, address.port, address.target) == (
        "https",
        "media.example.com",
        443,
        "/a/b.mp4?c=d",
    )


def test_an_international_name_is_written_in_ascii() -> None:
    assert read_address("https://bücher.example/a").host == "xn--bcher-kva.example"


def test_another_port_passes_for_a_host_that_the_operator_named() -> None:
    assert read_address("http://files.internal:9000/a", allow=["files.internal:9000"]).port == 9000
    with pytest.raises(RefusedAddressError):
        read_address("http://files.internal:9001/a", allow=["files.internal:9000"])


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    with pytest.raises(RefusedAddressError, match="not on the public internet"):
        public_addresses("rebind.example", 80, resolver=lambda *_: ["1.1.1.1", "10.0.0.1"])


def test_all_addresses_of_a_public_host_are_returned() -> None:
    assert public_addresses("a.example", 80, resolver=lambda *_: ["1.1.1.1", "2606:4700::1"]) == [
        "1.1.1.1",
        "2606:4700::1",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://2130706433/", "http://0x7f.1/", "http://127.1/",
        "http://0177.0.0.1/", "http://0/", "http://017700000001/", "http://0x7f000001/", "http://127.0.0.1./",
        "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://[::1]/", "http://[::7f00:1]/", "http://[::]/",
        "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:ffff:127.0.0.1]/", "http://[fe80::1%25eth0]/",
        "http://%31%32%37.0.0.1/", "http://LOCALHOST./", "http://x.localhost/",
    ],
)  # fmt: skip
def test_loopback_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(GuardError):
        public_addresses(read_address(url).host, 80)


def test_a_host_that_the_operator_named_may_be_private() -> None:
    assert public_addresses("127.0.0.1", 8484, allow=["127.0.0.1:8484"]) == ["127.0.0.1"]
    with pytest.raises(RefusedAddressError):
        public_addresses("127.0.0.1", 8485, allow=["127.0.0.1:8484"])


def test_a_name_that_does_not_resolve_is_an_error_in_words() -> None:
    def fail(*_: object) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(GuardError, match="can't be resolved"):
        public_addresses("nowhere.example", 80, resolver=fail)


def test_a_slow_resolver_is_not_waited_for() -> None:
    def slow(*_: object) -> list[str]:
        time.sleep(0.5)
        return ["1.1.1.1"]

    with pytest.raises(GuardError, match="in time"):
        public_addresses("slow.example", 80, seconds=0.05, resolver=slow)


def test_names_that_nobody_answers_for_hold_up_no_other() -> None:
    begun, answer = Semaphore(0), Event()

    def silent(*_: object) -> list[str]:
        begun.release()
        answer.wait(30)
        return ["1.1.1.1"]

    with ThreadPoolExecutor(20) as many:
        waiting = [many.submit(public_addresses, "silent.example", 443, seconds=30, resolver=silent) for _ in range(20)]
        try:
            assert all(begun.acquire(timeout=5) for _ in range(8))
            assert public_addresses("quick.example", 443, seconds=5, resolver=lambda *_: ["1.1.1.1"]) == ["1.1.1.1"]
        finally:
            answer.set()
    assert [one.result() for one in waiting] == [["1.1.1.1"]] * 20
