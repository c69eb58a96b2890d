"""The file that carries a catalog: whatever is not the signer's, or not whole, is refused before it is unpacked."""

import base64
import gzip
from dataclasses import asdict, replace
from hashlib import sha256

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from catalog.exchange import file_format
from catalog.exchange.contents import read_contents
from catalog.exchange.file_format import MAGIC, BadExportError, Header

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
TABLE = {"providers": {"fal": {"name": "fal.ai", "ids": ["a/one", "a/two"]}}, "records": 2}
RECORDS = [{"provider": "fal", "id": one, "name": one} for one in ("a/one", "a/two")]


def written(table=TABLE, records=RECORDS, since=0):
    lines = [orjson.dumps(one) for one in (table, *records)]
    return file_format.write(lines, KEY, revision=7, since=since, state="s", made_at="2026-11-25T20:00:00Z")


def signed_again(content: bytes, packed: bytes | None = None, **changes) -> bytes:
    """The file with another header or content, signed by the right key all the same."""
    header_line, _, rest = content[len(MAGIC) :].split(b"\n", 2)
    header = replace(Header(**orjson.loads(header_line)), **changes)
    signed = MAGIC + orjson.dumps(asdict(header)) + b"\n"
    return signed + base64.b64encode(KEY.sign(signed)) + b"\n" + (rest if packed is None else packed)


def reason(content: bytes, public_key: str = PUBLIC) -> str:
    with pytest.raises(BadExportError) as refused:
        read_contents(file_format.read(content, public_key=public_key))
    return refused.value.reason


def test_what_was_written_is_read():
    contents = read_contents(file_format.read(written(), public_key=PUBLIC))
    assert contents["fal"].ids == ["a/one", "a/two"]
    assert contents["fal"].records["a/two"].name == "a/two"


def test_the_same_catalog_is_the_same_bytes():
    assert written() == written()


@pytest.mark.parametrize("place", ["header", "signature", "content"])
def test_a_changed_byte_is_refused_wherever_it_is(place):
    content = bytearray(written())
    first = content.index(b"\n", len(MAGIC))
    second = content.index(b"\n", first + 1)
    # In the header: the revision, so that it stays a header.
    at = {"header": content.index(b":7,") + 1, "signature": first + 5, "content": second + 40}[place]
    content[at] = ord("8") if place != "content" else content[at] ^ 1
    assert reason(bytes(content)) == ("damaged" if place == "content" else "signature")


def test_an_export_cut_off_anywhere_is_refused_as_cut_off():
    content = written()
    for size in (5, len(MAGIC), len(MAGIC) + 30, len(content) - 60, len(content) - 1):
        assert reason(content[:size]) == "truncated", size


def test_an_export_of_another_key_is_refused():
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    assert reason(written(), base64.b64encode(other).decode()) == "key"


def test_a_forger_who_names_the_trusted_key_is_refused():
    forger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    lines = [orjson.dumps(one) for one in (TABLE, *RECORDS)]
    forged = file_format.write(lines, forger, revision=7, since=0, state="s", made_at="")
    own = base64.b64encode(forger.public_key().public_bytes_raw())
    assert reason(forged.replace(own, PUBLIC.encode())) == "signature"


def test_a_format_of_the_future_is_told_as_such():
    assert reason(signed_again(written(), format=2)) == "format"


def test_a_web_page_is_no_export():
    assert reason(b"<html>" * 2000) == "not_an_export"


@pytest.mark.parametrize("wrong", [{"state": "a\0b"}, {"state": "s" * 65}, {"revision": 2**63}])
def test_a_header_that_no_database_takes_is_refused(wrong):
    assert reason(signed_again(written(), **wrong)) == "damaged"


def test_null_characters_are_left_out_of_what_is_read():
    record = {**RECORDS[0], "description": "one\0two", "metadata": {"a\0": ["\0b"]}}
    export = file_format.read(written(records=[record, *RECORDS[1:]]), public_key=PUBLIC)
    found = read_contents(export)["fal"].records["a/one"]
    assert (found.description, found.metadata) == ("onetwo", {"a": ["b"]})


def test_a_line_that_is_nested_too_deeply_is_refused():
    deep = b'{"provider":"fal","description":"\\u0000","tags":' + b"[" * 1000 + b"]" * 1000 + b"}"
    raw = file_format.write([orjson.dumps(TABLE), deep], KEY, revision=7, since=0, state="s", made_at="")
    with pytest.raises(BadExportError) as refused:
        read_contents(file_format.read(raw, public_key=PUBLIC))
    assert refused.value.reason == "damaged"


def test_a_packed_part_that_unpacks_to_more_than_it_says_is_refused():
    bomb = gzip.compress(bytes(10_000_000), mtime=0)
    content = written()
    assert reason(signed_again(content, bomb, size=len(bomb), sha256=sha256(bomb).hexdigest())) == "damaged"


@pytest.mark.parametrize(
    "records",
    [RECORDS[:1], [*RECORDS, RECORDS[0]], [{**RECORDS[0], "provider": "nobody"}, RECORDS[1]], [RECORDS[0], {"id": 5}]],
    ids=["one is missing", "one too many", "unknown provider", "nonsense"],
)
def test_records_that_do_not_fit_the_table_of_contents_are_refused(records):
    assert reason(written(records=records)) == "damaged"


def test_an_increment_holds_some_of_the_models():
    table = {**TABLE, "records": 1, "base_state": "a state"}
    export = file_format.read(written(table, RECORDS[:1], since=3), public_key=PUBLIC)
    contents = read_contents(export, had="a state")
    assert list(contents["fal"].records) == ["a/one"]


def test_a_record_that_is_nested_deeper_than_any_database_writes_is_refused():
    deep = 1
    for _ in range(200):
        deep = {"a": deep}
    assert reason(written(records=[{**RECORDS[0], "metadata": deep}, *RECORDS[1:]])) == "damaged"
