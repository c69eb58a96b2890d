"""Pictures for the built-in models: a tile in the colour of the category, with the model's name."""

from html import escape
from textwrap import wrap
from zlib import crc32

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

WIDTH, HEIGHT = 640, 360
LINE_LENGTH, MOST_LINES = 24, 3


async def show_thumbnail(request: Request) -> Response:
    """GET /thumbnails/<id>.svg"""
    model = request.app.state.sandbox.models.get(request.path_params["endpoint_id"])
    if model is None or model.metadata is None:
        return PlainTextResponse("Not Found", status_code=404)
    picture = draw(model.metadata["display_name"], model.metadata["category"], seed=model.endpoint_id)
    return Response(picture, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})


def draw(name: str, category: str, *, seed: str) -> str:
    """An SVG picture. The colour follows from the category, the shapes from `seed`."""
    hue = crc32(category.encode()) % 360
    dice = crc32(seed.encode())
    circles = "".join(
        f'<circle cx="{(dice >> shift) % WIDTH}" cy="{(dice >> (shift + 5)) % HEIGHT}" '
        f'r="{60 + (dice >> shift) % 90}" fill="hsl({(hue + shift * 4) % 360} 70% 62%)" fill-opacity="0.35"/>'
        for shift in (1, 7, 13)
    )
    lines = wrap(name, LINE_LENGTH)[:MOST_LINES] or [category]
    top = HEIGHT // 2 - 22 * (len(lines) - 1)
    words = "".join(
        f'<text x="40" y="{top + 44 * at}" font-size="36" font-weight="600">{escape(line)}</text>'
        for at, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f"<title>{escape(name)}</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="hsl({hue} 45% 28%)"/>{circles}'
        f'<g fill="#fff" font-family="system-ui, sans-serif">{words}'
        f'<text x="40" y="{HEIGHT - 32}" font-size="22" fill-opacity="0.8">{escape(category)}</text></g></svg>'
    )


ROUTES = [Route("/thumbnails/{endpoint_id:path}.svg", show_thumbnail)]
