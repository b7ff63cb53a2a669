"""Make images and convert them, each in a process of its own: work that keeps a core busy, and would keep everything else waiting.

    python -m examples.images                       # four pictures and their thumbnails, into ./images
    python -m examples.images FOLDER WIDTH COUNT

Nothing is needed for it: pixels are computed in Python, written as PPM, and packed as PNG with zlib.
"""

import os
import struct
import sys
import zlib
from pathlib import Path
from typing import TypedDict

import attrs

from blaxel_jobs import JobManager, TaskContext, define_job

PLACES = [(-0.75, 0.0, 2.6), (-0.7436, 0.1318, 0.02), (-1.25066, 0.02012, 0.004), (0.2925, 0.0149, 0.05)]
"""Where it is worth looking: the middle, and how wide the picture is."""
MOST = 120
"""Iterations of a pixel."""


@attrs.frozen
class Picture:
    folder: str
    name: str
    width: int
    x: float
    y: float
    span: float

    @property
    def height(self) -> int:
        return self.width * 3 // 4

    def path(self, suffix: str) -> Path:
        return Path(self.folder, f"{self.name}{suffix}")


class Made(TypedDict):
    image: str
    thumbnail: str
    process: int


@define_job("mandelbrot", input=Picture, queue="images", executor="process")
def mandelbrot(step: TaskContext, picture: Picture) -> Made:
    """`executor="process"` is all that it takes; steps, progress and logs work as anywhere."""
    raw = step.run("render", render, step, picture)
    image = step.run("convert", convert, raw, str(picture.path(".png")), 1)
    thumbnail = step.run("thumbnail", convert, raw, str(picture.path("-small.png")), 4)
    step.log.info("made", image=image)
    return Made(image=image, thumbnail=thumbnail, process=os.getpid())


def render(step: TaskContext, picture: Picture) -> str:
    """Compute the pixels, and return the path of a PPM file."""
    rows = bytearray()
    for row in range(picture.height):
        for column in range(picture.width):
            x = picture.x + (column / picture.width - 0.5) * picture.span
            y = picture.y + (row / picture.height - 0.5) * picture.span * 3 / 4
            rows += colour(escape(complex(x, y)))
        step.progress(row + 1, picture.height)
    path = picture.path(".ppm")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P6 %d %d 255\n" % (picture.width, picture.height) + rows)
    return str(path)


def escape(point: complex) -> int:
    """After how many iterations it leaves the circle; MOST for never."""
    value = 0j
    for iteration in range(MOST):
        value = value * value + point
        if value.real * value.real + value.imag * value.imag > 4:
            return iteration
    return MOST


def colour(iteration: int) -> bytes:
    if iteration == MOST:
        return b"\0\0\0"
    return bytes((iteration * 7 % 256, iteration * 5 % 256, 80 + iteration * 3 % 176))


def convert(source: str, target: str, factor: int) -> str:
    """Read a PPM file and write a PNG file of every `factor`-th pixel. Returns its path."""
    head, _, pixels = Path(source).read_bytes().partition(b"\n")
    width, height = (int(word) for word in head.split()[1:3])
    lines = (pixels[3 * width * row : 3 * width * (row + 1)] for row in range(0, height, factor))
    # Each line of a PNG begins with the number of its filter: 0 is none.
    kept = [b"\0" + b"".join(line[3 * at : 3 * at + 3] for at in range(0, width, factor)) for line in lines]
    size = struct.pack(">IIBBBBB", -(-width // factor), len(kept), 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", size) + part(b"IDAT", zlib.compress(b"".join(kept), 9)) + part(b"IEND", b"")
    Path(target).write_bytes(png)
    return target


def part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def main(folder: Path, width: int, count: int) -> int:
    pictures = [Picture(str(folder), f"mandelbrot-{n}", width, *PLACES[n % len(PLACES)]) for n in range(count)]
    with JobManager("memory:", slots=max(2, os.cpu_count() or 1)) as manager:
        batch = manager.register(mandelbrot).trigger_many(pictures)
        for execution in manager.as_completed([each.id for each in batch.executions]):
            made = manager.get_execution_result(execution.id)
            print(f"{made['image']} and {made['thumbnail']}, by process {made['process']}", flush=True)
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (1, 4):
        sys.exit(f"usage: python -m examples.images [FOLDER WIDTH COUNT]\n\n{__doc__}")
    folder, width, count = sys.argv[1:] or ("images", "320", "4")
    sys.exit(main(Path(folder).resolve(), int(width), int(count)))
