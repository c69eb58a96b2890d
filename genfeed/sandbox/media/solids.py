"""3D files: a cube as GLB, OBJ, PLY and STL."""

import struct

import orjson

CORNERS = tuple((x, y, z) for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0))
FACES = (
    (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
    (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
)  # fmt: skip


def glb(*, comment: str = "") -> bytes:
    """The cube as binary glTF 2.0."""
    points = b"".join(struct.pack("<3f", *corner) for corner in CORNERS)
    order = b"".join(struct.pack("<3H", *face) for face in FACES)
    document = {
        "asset": {"version": "2.0", "extras": {"comment": comment}},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 1]},
            {"bufferView": 1, "componentType": 5123, "count": 36, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": len(points)},
            {"buffer": 0, "byteOffset": len(points), "byteLength": len(order)},
        ],
        "buffers": [{"byteLength": len(points) + len(order)}],
    }
    text = orjson.dumps(document)
    text += b" " * (-len(text) % 4)
    data = points + order
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def obj(*, comment: str = "") -> bytes:
    """The cube as Wavefront OBJ."""
    lines = [f"# {comment}", *("v {} {} {}".format(*corner) for corner in CORNERS)]
    lines += ["f " + " ".join(str(at + 1) for at in face) for face in FACES]
    return ("\n".join(lines) + "\n").encode()


def ply(*, comment: str = "") -> bytes:
    """The cube as PLY text."""
    head = ["ply", "format ascii 1.0", f"comment {comment}", f"element vertex {len(CORNERS)}"]
    head += [f"property float {axis}" for axis in "xyz"]
    head += [f"element face {len(FACES)}", "property list uchar int vertex_indices", "end_header"]
    body = ["{} {} {}".format(*corner) for corner in CORNERS] + ["3 {} {} {}".format(*face) for face in FACES]
    return ("\n".join(head + body) + "\n").encode()


def stl(*, comment: str = "") -> bytes:
    """The cube as binary STL."""
    head = comment.encode("ascii", "replace")[:80].ljust(80, b" ")
    faces = b"".join(
        struct.pack("<3f", 0, 0, 0) + b"".join(struct.pack("<3f", *CORNERS[at]) for at in face) + b"\0\0"
        for face in FACES
    )
    return head + struct.pack("<I", len(FACES)) + faces
