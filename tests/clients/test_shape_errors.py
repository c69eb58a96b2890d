"""Whatever pydantic refuses is said in words that tell what to send instead."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genfeed.clients.shape_errors import shape_error


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field("a", min_length=1, max_length=3, pattern="^[a-z]*$")
    number: int = Field(1, ge=1, le=9, strict=True)
    share: float = Field(0.5, gt=0, lt=1)
    switch: bool = False
    entries: list[str] = Field(["a"], min_length=1, max_length=2)
    options: dict[str, Any] = {}
    word: Literal["red", "blue"] = "red"
    inner: "Body | None" = None
    needed: str


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"name": 5}, "name: is no text.", "Send a text, in quotes."),
        ({"name": ""}, "name: has fewer than 1 characters.", "Send at least 1."),
        ({"name": "abcd"}, "name: has more than 3 characters.", "Send at most 3."),
        ({"name": "A"}, "name: does not match ^[a-z]*$.", "Send a text that does."),
        ({"number": 0}, "number: is less than 1.", "Send 1 or more."),
        ({"number": 10}, "number: is more than 9.", "Send 9 or less."),
        ({"number": "3"}, "number: is no whole number.", "Send a whole number."),
        ({"number": 1.5}, "number: is no whole number.", "Send a whole number."),
        ({"share": 0}, "share: is not more than 0.0.", "Send more than 0.0."),
        ({"share": 1}, "share: is not less than 1.0.", "Send less than 1.0."),
        ({"share": "a"}, "share: is no number.", "Send a number."),
        ({"switch": "maybe"}, "switch: is neither true nor false.", "Send true or false."),
        ({"entries": "a"}, "entries: is no list.", "Send a list: […]."),
        ({"entries": []}, "entries: has 0 entries, and 1 is the least.", "Send at least 1."),
        (
            {"entries": ["a"] * 3},
            "entries: has 3 entries, and 2 is the most.",
            "Send at most 2 at once, the others in another request.",
        ),
        ({"options": []}, "options: is no JSON object.", "Send an object: {…}."),
        ({"word": "green"}, "word: is none of the known words.", "Send 'red' or 'blue'."),
        ({"inner": {}}, "inner.needed: is missing.", "Send it."),
        ({"inner": 5}, "inner: is no JSON object.", "Send an object: {…}."),
        ({"nmae": "a"}, "nmae: there is no such parameter.", "Leave it out; /api/v1/docs lists those that there are."),
    ],
)
def test_a_wrong_value_is_named_with_what_is_wrong_and_what_to_send(
    given: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate({"needed": "a", **given})

    error = shape_error(caught.value.errors())

    assert (error.code, error.message, error.hint) == ("invalid_request", message, hint)


def test_of_many_mistakes_each_is_in_the_details() -> None:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate({"name": 5, "number": 0})

    error = shape_error(caught.value.errors())

    assert {problem["path"] for problem in error.details["problems"]} == {"name", "number", "needed"}
    assert error.hint == "Correct the parameters named in details."


def test_what_is_no_object_at_all_is_told_without_a_place() -> None:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate([1])

    assert shape_error(caught.value.errors()).message == "What was sent is no JSON object."
