"""Files of models: JSON and CSV, read row by row, and what is said about the bad ones."""

import json

import pytest

from pricing.existing.reading import BadFileError, read_file
from pricing.existing.rows import Adapter, check_rows
from tests.cpu_bound import bounded_cpu
from tests.pricing.collection.rows import COLUMNS, checked, legacy, reasons


def csv_rows(*lines: str, header: str = COLUMNS, adapter: Adapter | None = None):
    return check_rows(read_file("\n".join([header, *lines]).encode(), name="models.csv"), adapter)


# --- JSON ---


def test_a_list_of_models_is_read() -> None:
    good, bad = checked(legacy("a/b", extra="kept"))
    assert not bad
    assert (good[0].id, good[0].pricing, good[0].enabled, good[0].extra) == (
        "a/b",
        {"image": "0.05"},
        True,
        {"extra": "kept"},
    )


def test_a_list_under_models_is_found_as_the_legacy_api_answers_it() -> None:
    document = {"count": 1, "models": [legacy("a/b")], "lastUpdated": None}
    good, _ = check_rows(read_file(json.dumps(document).encode()))
    assert [row.id for row in good] == ["a/b"]


@pytest.mark.parametrize("number", ["0.0250", "1e-3", "0.1234567890123456789", "0.30", "5", "0.00006944444"])
def test_a_price_is_kept_to_the_digit(number: str) -> None:
    text = json.dumps([legacy(pricing={})]).replace('"pricing": {}', f'"pricing": {{"image": {number}}}')
    good, bad = check_rows(read_file(text.encode()))
    assert not bad
    assert good[0].pricing == {"image": number}


def test_an_extra_number_that_no_float_holds_is_kept_as_its_text() -> None:
    text = json.dumps([legacy(rating=0)]).replace(
        '"rating": 0', '"rating": 0.12345678901234567890, "count": 7, "half": 0.5'
    )
    good, _ = check_rows(read_file(text.encode()))
    assert good[0].extra == {"rating": "0.12345678901234567890", "count": 7, "half": 0.5}


def test_a_price_that_the_shape_does_not_name_is_kept_as_an_extra() -> None:
    good, _ = checked(legacy(pricing={"image": 0.05, "audio": 0.5, "note": "old"}))
    assert good[0].pricing == {"image": "0.05"}
    assert good[0].extra == {"pricing": {"audio": 0.5, "note": "old"}}


def test_the_line_of_a_bad_row_is_named() -> None:
    text = json.dumps([legacy("a/b"), legacy("c d"), legacy("e/f")], indent=2)
    line = 1 + text[: text.index('"c d"')].count("\n")
    _, bad = check_rows(read_file(text.encode()))
    assert [row.line for row in bad] == [line - 1]  # the line of its opening brace


def test_broken_json_is_refused_with_line_and_column() -> None:
    with pytest.raises(BadFileError, match=r"line 2, column \d+"):
        read_file(b'[{"id": "a",\n "name": }]', name="models.json")


@pytest.mark.parametrize("content", ["{}", '{"models": {}}', "42", '"text"', "null"])
def test_json_without_a_list_of_models_is_refused(content: str) -> None:
    with pytest.raises(BadFileError, match="no list of models"):
        read_file(content.encode(), name="models.json")


def test_json_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(BadFileError):
        read_file(b"[" * 200_000, name="models.json")


def test_a_row_that_is_no_object_is_told_and_the_others_are_read() -> None:
    good, bad = check_rows(read_file(json.dumps([1, None, legacy()]).encode()))
    assert len(good) == 1
    assert [row.reason for row in bad] == ["is no object with fields"] * 2


def test_a_field_that_is_named_twice_is_told_instead_of_lost() -> None:
    text = json.dumps([legacy()])[:-2] + ', "name": "Other"}]'
    _, bad = check_rows(read_file(text.encode()))
    assert bad[0].reason == "names the field 'name' twice"


@pytest.mark.parametrize("content", [b"", b" \n\t ", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(content: bytes) -> None:
    with pytest.raises(BadFileError, match="empty"):
        read_file(content)


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(BadFileError, match="UTF-8"):
        read_file(b"\xff\xfe\x00a", name="models.csv")


# --- CSV ---


def test_a_csv_file_is_read_with_pricing_columns_and_extras() -> None:
    good, bad = csv_rows("a/b,Flux,fal,image,0.0500,yes,42", header=f"{COLUMNS},rank")
    assert not bad
    assert (good[0].pricing, good[0].enabled, good[0].extra) == ({"image": "0.0500"}, True, {"rank": "42"})


def test_an_empty_price_cell_is_no_price() -> None:
    good, _ = csv_rows("a/b,Flux,fal,image,,no")
    assert (good[0].pricing, good[0].enabled) == ({}, False)


def test_semicolons_separate_too() -> None:
    good, _ = check_rows(read_file(f"{COLUMNS}\na/b,Flux,fal,image,0.05,1".replace(",", ";").encode(), name="m.csv"))
    assert good[0].pricing == {"image": "0.05"}


def test_a_cell_with_json_text_is_read_as_the_pricing() -> None:
    good, _ = csv_rows(
        'a/b,Flux,fal,image,"{""image"": 0.0500}",true', header="id,name,provider,category,pricing,enabled"
    )
    assert good[0].pricing == {"image": "0.0500"}


def test_missing_columns_are_named_with_the_way_out() -> None:
    with pytest.raises(BadFileError, match=r"'name', 'enabled'.*--map name="):
        csv_rows("a/b,fal", header="id,provider")


def test_a_column_that_is_named_twice_is_refused() -> None:
    with pytest.raises(BadFileError, match="twice: 'id'"):
        csv_rows("a,b,c,d,e,f,g", header=f"{COLUMNS},id")


def test_a_row_with_too_few_cells_is_told_with_its_line() -> None:
    good, bad = csv_rows("a/b,Flux,fal,image,0.05,true", "c/d,Flux,fal", "", "e/f,Flux,fal,image,0.05,true")
    assert [row.id for row in good] == ["a/b", "e/f"]
    assert (bad[0].line, bad[0].reason) == (3, "has 3 cells where the first line names 6 columns")


def test_the_line_of_a_row_after_a_cell_with_line_breaks_is_right() -> None:
    _, bad = csv_rows('a/b,"Flux\nof two lines",fal,image,0.05,true', "c/d,Flux,fal,image,-1,true")
    assert [row.line for row in bad] == [2, 4]  # line breaks are no part of a name


def test_a_quote_that_never_closes_is_refused_with_its_line() -> None:
    with pytest.raises(BadFileError, match="no CSV"):
        csv_rows('a/b,"Flux,fal')


# --- bad values ---


@pytest.mark.parametrize("price", [-1, "-0.05", -0.0001])
def test_a_negative_price_is_refused(price: object) -> None:
    assert "can't be negative" in reasons(legacy(pricing={"image": price}))[0]


@pytest.mark.parametrize(
    "price", [float("nan"), float("inf"), "NaN", "abc", "$0.05", "0,05", "1_000", "٣", True, [1], {"a": 1}]
)
def test_what_is_no_number_is_no_price(price: object) -> None:
    assert "pricing.image is no number" in reasons(legacy(pricing={"image": price}))[0]


@pytest.mark.parametrize("price", ["1e300", "99999999999", "1e-200", "9" * 60])
def test_a_price_beyond_all_bounds_is_refused(price: str) -> None:
    assert len(reasons(legacy(pricing={"image": price}))) == 1


def test_a_price_of_0_is_the_owners_own_and_kept() -> None:
    good, _ = checked(legacy(pricing={"image": 0}))
    assert good[0].pricing == {"image": "0"}


@pytest.mark.parametrize("id", ["flux dev", " flux", "flux ", "fl\tux", "fl\x00ux", "", None, "x" * 256, ["a"]])
def test_a_bad_id_is_refused(id: object) -> None:
    assert len(reasons(legacy(id=id), legacy("fine"))) == 1


@pytest.mark.parametrize("enabled", ["maybe", 2, None, "", [], 0.5])
def test_a_switch_that_says_neither_is_refused(enabled: object) -> None:
    assert "enabled" in reasons(legacy(enabled=enabled), legacy("fine"))[0]


def test_the_same_model_twice_is_told_with_the_first_line() -> None:
    good, bad = csv_rows("a/b,One,fal,image,1,true", "a/b,Two,FAL.ai,image,2,true", "a/b,Three,fal-ai,image,2,true")
    assert [row.name for row in good] == ["One"]
    assert [str(row) for row in bad] == [
        "line 3 (a/b): the same model as in line 2",
        "line 4 (a/b): the same model as in line 2",
    ]


def test_a_number_that_json_does_not_know_is_refused_in_extras_too() -> None:
    assert reasons(legacy(rank=float("nan"))) == ["rank is no number that JSON knows: NaN"]


def test_text_that_no_database_stores_is_refused_in_extras() -> None:
    assert reasons(legacy(notes={"deep": ["a\x00b"]})) == ["notes.deep has characters that can't be stored"]


# --- other tables ---


def test_other_column_names_are_mapped() -> None:
    adapter = Adapter(
        {"id": "model_id", "pricing.image": "cost.per_image", "enabled": "is_active"}, {"provider": "fal"}
    )
    row = {
        "model_id": "a/b",
        "name": "Flux",
        "cost": {"per_image": 0.07, "currency": "USD"},
        "is_active": "t",
        "id": 17,
    }
    good, bad = checked(row, adapter=adapter)
    assert not bad
    assert (good[0].id, good[0].provider, good[0].pricing, good[0].enabled) == ("a/b", "fal", {"image": "0.07"}, True)
    assert good[0].extra == {"id": 17, "cost": {"per_image": 0.07, "currency": "USD"}}


def test_a_mapping_of_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadFileError, match="no field 'price'"):
        Adapter({"price": "cost"})


def test_a_mapping_to_a_column_that_no_row_has_is_refused_by_name() -> None:
    with pytest.raises(BadFileError, match="No row has 'model_id'"):
        checked(legacy(), adapter=Adapter({"id": "model_id"}))


def test_a_file_of_very_many_names_is_refused_in_the_time_of_reading_it() -> None:
    names = [f"n{number}" for number in range(60_000)]
    twice = "[{" + ", ".join(f'"{name}": 1' for name in [*names, "z", "z"]) + "}]"

    with bounded_cpu():
        with pytest.raises(BadFileError, match="names a column twice: 'n0'"):
            read_file(",".join([*names, "n0"]).encode(), name="a.csv")
        assert read_file(twice.encode())[0].problem == "names the field 'z' twice"


def test_a_file_that_is_nested_without_end_is_refused() -> None:
    for deep in (b"[" * 100_000, b'[{"id": ' + b"[" * 900 + b"]" * 900 + b"}]"):
        try:
            good, _ = check_rows(read_file(deep))
        except BadFileError:
            continue
        assert good == []
