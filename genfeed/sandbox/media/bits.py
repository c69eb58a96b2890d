"""Writing single bits, for formats that are not made of bytes."""


class BitWriter:
    """Bits, the most significant first. Codes are given as text of 0 and 1, as the standards print them."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def put(self, code: str) -> None:
        """Append a code."""
        self.parts.append(code)

    def number(self, value: int, bits: int) -> None:
        """Append a number of a fixed width."""
        self.parts.append(format(value, f"0{bits}b"))

    def golomb(self, value: int) -> None:
        """Append an unsigned exponential Golomb number, as H.264 uses them."""
        code = format(value + 1, "b")
        self.parts.append("0" * (len(code) - 1) + code)

    def signed_golomb(self, value: int) -> None:
        """Append a signed exponential Golomb number."""
        self.golomb(2 * value - 1 if value > 0 else -2 * value)

    def to_bytes(self, *, fill: str = "0") -> bytes:
        """All bits, filled up to whole bytes."""
        text = "".join(self.parts)
        text += fill * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big") if text else b""
