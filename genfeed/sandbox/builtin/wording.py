"""What the built-in models say about themselves, made from their fields."""

from typing import Any
from zlib import crc32

from genfeed.sandbox.builtin.notation import Field
from genfeed.sandbox.builtin.tables import Sheet

ABOUT = {
    "3d-to-3d": "{name} reworks a 3D model you already have.",
    "audio-to-audio": "{name} takes a recording and gives back an altered one.",
    "audio-to-text": "{name} listens and answers in writing.",
    "audio-to-video": "{name} sets a recording in motion pictures.",
    "image-to-3d": "{name} builds a 3D model after a picture.",
    "image-to-image": "{name} turns the picture you send into another one.",
    "image-to-json": "{name} reads a picture and answers with structured data.",
    "image-to-text": "{name} reads the writing in a picture.",
    "image-to-video": "{name} lets a still picture move.",
    "json": "{name} takes media apart and reports what it found as JSON.",
    "llm": "{name} answers in text.",
    "speech-to-speech": "{name} speaks the same words in another voice.",
    "speech-to-text": "{name} writes down what is said.",
    "text-to-3d": "{name} models an object after a description.",
    "text-to-audio": "{name} makes sound or music after a description.",
    "text-to-image": "{name} paints pictures after a description.",
    "text-to-json": "{name} turns text into structured data.",
    "text-to-speech": "{name} reads text aloud.",
    "text-to-text": "{name} turns text into other text.",
    "text-to-video": "{name} films a clip after a description.",
    "training": "{name} learns from your own files and hands back the weights.",
    "unknown": "{name} is not sorted into a category yet.",
    "video-to-audio": "{name} makes the sound for a silent clip.",
    "video-to-text": "{name} watches a clip and answers in writing.",
    "video-to-video": "{name} takes a clip and gives back a changed one.",
    "vision": "{name} looks at pictures and tells what is there.",
    "workflow": "{name} joins steps into one call.",
}
TRAITS = {
    "loras": "It loads LoRA weights on request.",
    "generate_audio": "It can add a sound track.",
    "mask_url": "A mask limits where it works.",
    "image_urls": "Several pictures can be given at once.",
    "end_image_url": "A closing picture can be given too.",
    "negative_prompt": "What is unwanted can be named.",
    "enable_web_search": "It can look things up before it starts.",
    "enable_pbr": "Materials come along if wanted.",
}
TAGS = {"loras": "lora", "generate_audio": "audio", "mask_url": "inpainting", "enable_pbr": "pbr"}
FAST_WORDS = ("turbo", "fast", "flash", "schnell", "lightning", "distilled", "rapid")
PROMPTS = {
    "prompt": (
        "A lighthouse keeper feeding gulls at dawn, seen from the sea",
        "An old tram crossing a bridge in the rain, warm light inside",
        "A fox asleep on a stack of atlases in a quiet library",
        "A glass greenhouse on a cliff, wind in the ferns, late afternoon",
        "Two children flying a red kite over a harvested field",
        "A clay workshop with half-finished bowls and dust in the sunbeams",
    ),
    "text": (
        "The ferry leaves at ten past six, and it does not wait.",
        "Every garden begins with somebody kneeling in the mud.",
    ),
    "lyrics": ("Lanterns on the water, slowly drifting home\nVoices on the harbour, singing in the foam",),
}


def describe_model(sheet: Sheet) -> str:
    """A sentence about the category and up to two about what its fields allow."""
    names = {field.name for field in sheet.inputs or ()}
    traits = [sentence for name, sentence in TRAITS.items() if name in names][:2]
    return " ".join([ABOUT[sheet.category].format(name=sheet.name), *traits])


def tags_of(sheet: Sheet) -> list[str]:
    """Tags that follow from the id and the fields."""
    names = {field.name for field in sheet.inputs or ()}
    tags = [tag for name, tag in TAGS.items() if name in names]
    if any(word in sheet.endpoint_id for word in FAST_WORDS):
        tags.append("fast")
    if "edit" in sheet.endpoint_id:
        tags.append("editing")
    return tags


def prompt_examples(name: str, seed: str) -> list[str]:
    """An example for a field of free text; which one follows from `seed`."""
    choices = PROMPTS.get(name, ())
    return [choices[crc32(seed.encode()) % len(choices)]] if choices else []


def describe_field(field: Field) -> str:
    """A sentence made from the name and the type, for fields that have no words of their own."""
    words = field.name.replace("_", " ").strip()
    schema = _main(field.schema)
    if field.name.endswith("_url"):
        return f"The address of the file for {words.removesuffix(' url')}."
    if field.name.endswith("_urls"):
        return f"The addresses of the files for {words.removesuffix(' urls')}."
    if "enum" in schema:
        return f"Chooses {words} from a fixed list."
    sentences: dict[Any, str] = {
        "boolean": f"Switches {words} on or off.",
        "integer": f"A whole number for {words}.",
        "number": f"A number for {words}.",
        "array": f"A list for {words}.",
        "string": f"A text for {words}.",
    }
    return sentences.get(schema.get("type"), f"Details for {words}.")


def _main(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or the first of its alternatives."""
    first: dict[str, Any] = schema.get("anyOf", [schema])[0]
    return first
