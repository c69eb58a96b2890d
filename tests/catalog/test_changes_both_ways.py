from collections import Counter
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.changes.comparing import diff_schemas, readable_diff
from catalog.schemas.mapping import MappedSchema, map_openapi
from tests.catalog.openapi_documents import SCHEMAS, openapi
from tests.recorded import JUNE, mapped, requires_recorded

PROPERTIES = st.dictionaries(st.sampled_from(["a", "b", "num_images", "image_size"]), SCHEMAS, max_size=2)
OPPOSITES = {
    **{"field_added": "field_removed", "output_added": "output_removed", "required_added": "required_dropped"},
    **{"null_allowed": "null_refused", "enum_widened": "enum_narrowed", "bound_loosened": "bound_tightened"},
    **{"object_opened": "object_closed", "deprecated": "undeprecated"},
}
BOTH_WAYS = OPPOSITES | {narrow: wide for wide, narrow in OPPOSITES.items()}
SOMETIMES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@SOMETIMES
@given(PROPERTIES, SCHEMAS)
def test_nothing_changes_between_a_schema_and_itself(properties: dict[str, Any], other: Any) -> None:
    made = map_openapi(openapi(properties, schemas={"A": other, "Output": other}), "acme/painter")
    assert diff_schemas(made, made) == []


@SOMETIMES
@given(PROPERTIES, PROPERTIES)
def test_the_way_back_has_the_opposite_changes(old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = (
        map_openapi(openapi(properties, schemas={"Output": {"properties": properties}}), "acme/painter")
        for properties in (old, new)
    )
    assert_way_back_is_opposite(before, after)


@requires_recorded
def test_the_way_back_has_the_opposite_changes_between_any_two_recorded_models() -> None:
    models = list(mapped(JUNE).values())
    for one_model, other in pairwise(models):
        assert_way_back_is_opposite(one_model, other)


def assert_way_back_is_opposite(before: MappedSchema, after: MappedSchema) -> None:
    there, back = diff_schemas(before, after), diff_schemas(after, before)
    assert all(readable_diff(there))
    kinds = Counter((change["side"], change["kind"]) for change in there)
    assert Counter((change["side"], BOTH_WAYS.get(change["kind"], change["kind"])) for change in back) == kinds
    renamed = {(change["old"], change["new"].rpartition(".")[2]) for change in there if "renamed" in change["kind"]}
    assert renamed == {
        (change["new"].rpartition(".")[2], change["old"]) for change in back if "renamed" in change["kind"]
    }
