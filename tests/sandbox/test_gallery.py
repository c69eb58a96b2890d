"""The pages of fal's web site: gallery list, llms.txt, one OpenAPI document, thumbnails."""

from xml.etree import ElementTree

from tests.sandbox_server import RunningSandbox


def gallery(sandbox: RunningSandbox, **params: object) -> dict:
    answer = sandbox.client.get("/api/models", params=params)
    assert answer.status_code == 200
    return answer.json()


def test_the_gallery_counts_its_pages(sandbox: RunningSandbox) -> None:
    page = gallery(sandbox, page=2, size=200)
    listed = sandbox.state()["listed"]
    assert len(page["items"]) == 200
    assert (page["page"], page["size"], page["total"], page["pages"]) == (2, 200, listed, -(-listed // 200))


def test_the_pages_of_the_gallery_hold_every_listed_model_once(sandbox: RunningSandbox) -> None:
    pages = [gallery(sandbox, page=number, size=200) for number in range(1, gallery(sandbox, size=200)["pages"] + 1)]
    ids = [item["id"] for page in pages for item in page["items"]]
    assert len(ids) == len(set(ids)) == sandbox.state()["listed"]


def test_a_page_past_the_end_is_empty(sandbox: RunningSandbox) -> None:
    assert gallery(sandbox, page=99, size=200)["items"] == []


def test_an_item_carries_the_price_text_and_the_machine(builtin: RunningSandbox) -> None:
    builtin.patch_model("fal-ai/flux/dev", price_note="A text.", billing_message="A message.", machine_type="GPU-H100")
    (item,) = [
        one for one in gallery(builtin, keywords="fal-ai/flux/dev", size=500)["items"] if one["id"] == "fal-ai/flux/dev"
    ]
    assert (item["pricingInfoOverride"], item["billingMessage"], item["machineType"]) == (
        "A text.",
        "A message.",
        "GPU-H100",
    )


def test_an_item_says_whether_the_model_is_deprecated(builtin: RunningSandbox) -> None:
    builtin.patch_model("fal-ai/flux/dev", status="deprecated")
    items = {item["id"]: item["deprecated"] for item in gallery(builtin, size=500, keywords="flux")["items"]}
    assert items["fal-ai/flux/dev"] is True
    assert items["fal-ai/flux/schnell"] is False


def llms_text(sandbox: RunningSandbox, endpoint_id: str) -> str:
    answer = sandbox.client.get(f"/models/{endpoint_id}/llms.txt")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/markdown")
    return answer.text


def test_llms_text_tells_the_flat_price_where_there_is_no_price_text(sandbox: RunningSandbox) -> None:
    sandbox.patch_model("fal-ai/flux/dev", price_note=None)
    lines = llms_text(sandbox, "fal-ai/flux/dev").splitlines()
    assert lines[0] == "# FLUX.1 [dev]"
    assert "- **Model ID**: `fal-ai/flux/dev`" in lines
    assert "- **Category**: text-to-image" in lines
    assert lines[lines.index("## Pricing") + 2] == "- **Price**: $0.025 per megapixels"
    assert "For more details, see [fal.ai pricing](https://fal.ai/pricing)." in lines


def test_llms_text_tells_the_price_text_where_there_is_one(sandbox: RunningSandbox) -> None:
    sandbox.patch_model("fal-ai/flux/dev", price_note="This costs **$1** per picture.")
    lines = llms_text(sandbox, "fal-ai/flux/dev").splitlines()
    assert lines[lines.index("## Pricing") + 2] == "This costs **$1** per picture."


def test_llms_text_of_a_model_without_a_price_has_no_pricing(sandbox: RunningSandbox) -> None:
    sandbox.patch_model("fal-ai/flux/dev", price_note=None, price=None)
    assert "## Pricing" not in llms_text(sandbox, "fal-ai/flux/dev")


def test_llms_text_of_an_unknown_model_is_not_found(builtin: RunningSandbox) -> None:
    assert builtin.client.get("/models/nobody/knows/llms.txt").status_code == 404


def test_the_public_document_is_the_one_of_the_expansion(sandbox: RunningSandbox) -> None:
    document = sandbox.client.get("/api/openapi/queue/openapi.json", params={"endpoint_id": "fal-ai/flux/dev"}).json()
    params = {"endpoint_id": "fal-ai/flux/dev", "expand": "openapi-3.0"}
    assert document == sandbox.client.get("/v1/models", params=params).json()["models"][0]["openapi"]


def test_a_document_that_cannot_be_had_is_not_found(sandbox: RunningSandbox) -> None:
    for endpoint_id in ("nobody/knows", "fal-ai/wan/v2.1/1.3b/text-to-video"):
        answer = sandbox.client.get("/api/openapi/queue/openapi.json", params={"endpoint_id": endpoint_id})
        assert answer.status_code == 404


def test_a_builtin_thumbnail_is_a_picture_from_this_server(builtin: RunningSandbox) -> None:
    metadata = builtin.model("fal-ai/flux/dev")["metadata"]
    assert metadata["thumbnail_url"].startswith(builtin.base_url)
    answer = builtin.client.get(metadata["thumbnail_url"])
    assert answer.headers["content-type"] == "image/svg+xml"
    assert ElementTree.fromstring(answer.text).tag.endswith("svg")
    assert "FLUX.1 [dev]" in answer.text


def test_a_name_with_markup_makes_a_sound_picture(builtin: RunningSandbox) -> None:
    builtin.patch_model("fal-ai/flux/dev", metadata={"display_name": "<b> & 'c'"})
    ElementTree.fromstring(builtin.client.get("/thumbnails/fal-ai/flux/dev.svg").text)
