"""Writes on pictures."""

from PIL import ImageDraw, ImageFont

Color = tuple[float, float, float]
"""Red, green and blue, to 1, as scenes have it."""
Bytes = tuple[int, int, int]
"""Red, green and blue, to 255."""
PAPER, EMPTY, FAINT, INK, ALARM = (250, 250, 248), (222, 224, 226), (110, 116, 124), (30, 34, 40), (190, 30, 40)


def to_bytes(color: Color) -> Bytes:
    """Returns a colour as bytes."""
    red, green, blue = (round(255 * part) for part in color)
    return red, green, blue


class Pen:
    """Writes in one size."""

    def __init__(self, size: int) -> None:
        self.font = ImageFont.load_default(size)
        self.line = round(1.3 * size)
        """Height of a line, pixels."""
        self.margin = self.line // 3

    def write(self, draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, *, color: Bytes) -> None:
        draw.text(place, text, color, self.font)

    def row(self, draw: ImageDraw.ImageDraw, place: tuple[int, int], items: list[str | Color]) -> None:
        """Draws words and patches of colour, one after the other."""
        x, y = place
        for item in items:
            if isinstance(item, str):
                self.write(draw, (x, y), item, color=FAINT)
                x += round(self.font.getlength(item))
            else:
                draw.rectangle((x, y + 2, x + self.line // 2, y + self.line - 4), to_bytes(item))
                x += self.line // 2 + 1

    def wrap(self, lines: list[str], width: float) -> list[str]:
        """Returns the lines, broken at commas where they would be wider than this."""
        wrapped: list[str] = []
        for line in lines:
            first, *rest = line.split(", ")
            wrapped.append(first)
            for part in rest:
                longer = f"{wrapped[-1]}, {part}"
                if self.font.getlength(longer) <= width:
                    wrapped[-1] = longer
                else:
                    wrapped[-1] += ","
                    wrapped.append(part)
        return wrapped
