"""What TensorBoard shows beside scalars: pictures, histograms, and a run's keys ("HParams").

Each function gives the message of one value of an event (`vae.training.events`), whose fields are
written by number: TensorFlow's summary.proto, and plugin_data.proto and api.proto of TensorBoard's
plugin hparams.
"""

import struct
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vae.training.events import BYTES, DOUBLE, VARINT, field, varint

BUCKETS = 30
STRING, BOOL, FLOAT64 = 1, 2, 3  # of api.proto's DataType
SUCCESS, FAILURE = 1, 2  # of its Status


def picture(tag: str, pixels: np.ndarray) -> bytes:
    """A picture uint8 [H, W, 1 or 3]."""
    height, width, colours = pixels.shape
    sizes = (field(n + 1, VARINT, varint(v)) for n, v in enumerate((height, width, colours)))
    return _value(tag, 4, b"".join(sizes) + field(4, BYTES, png(pixels)))


def png(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, 1 or 3] as a PNG file."""
    height, width, colours = pixels.shape

    def chunk(name: bytes, data: bytes) -> bytes:
        ends = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + ends

    head = struct.pack(">IIBBBBB", width, height, 8, 2 if colours == 3 else 0, 0, 0, 0)
    lines = np.pad(pixels.reshape(height, -1), ((0, 0), (1, 0)))  # each begins with its filter, 0
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def histogram(tag: str, values: np.ndarray) -> bytes:
    """How finite values [N] are spread."""
    values = np.asarray(values, np.float64)
    counts, edges = np.histogram(values, BUCKETS)
    sums = (values.min(), values.max(), len(values), values.sum(), np.square(values).sum())
    told = (field(n + 1, DOUBLE, struct.pack("<d", v)) for n, v in enumerate(sums))
    packed = (np.asarray(each, "<f8").tobytes() for each in (edges[1:], counts))
    rows = (field(n + 6, BYTES, each) for n, each in enumerate(packed))
    return _value(tag, 5, b"".join((*told, *rows)))


def keys(values: Mapping[str, Any], metrics: Sequence[str]) -> bytes:
    """What a run is to be found by, and the scalars' tags that it is judged by.

    Args:
      values: of the config, by dotted key; what is no number or truth value is shown as text.
    """
    infos = (
        field(4, BYTES, _text(1, key) + field(4, VARINT, varint(_typed(value)[0])))
        for key, value in values.items()
    )
    judged = (field(5, BYTES, field(1, BYTES, _text(2, tag))) for tag in metrics)
    return _plugin("experiment", 2, b"".join((*infos, *judged)))


def start(values: Mapping[str, Any]) -> bytes:
    """The run with its keys' values begins."""
    told = (
        field(1, BYTES, _text(1, key) + field(2, BYTES, _typed(value)[1]))
        for key, value in values.items()
    )
    now = field(5, DOUBLE, struct.pack("<d", time.time()))
    return _plugin("session_start_info", 3, b"".join(told) + now)


def end(failed: bool) -> bytes:
    """The run ends."""
    status = field(1, VARINT, varint(FAILURE if failed else SUCCESS))
    now = field(2, DOUBLE, struct.pack("<d", time.time()))
    return _plugin("session_end_info", 4, status + now)


def _value(tag: str, number: int, message: bytes) -> bytes:
    return _text(1, tag) + field(number, BYTES, message)


def _text(number: int, text: str) -> bytes:
    return field(number, BYTES, text.encode())


def _typed(value: Any) -> tuple[int, bytes]:
    """A key's DataType, and its value as a google.protobuf.Value."""
    if isinstance(value, bool):
        return BOOL, field(4, VARINT, varint(value))
    if isinstance(value, int | float):
        return FLOAT64, field(2, DOUBLE, struct.pack("<d", value))
    return STRING, _text(3, str(value))


def _plugin(name: str, number: int, message: bytes) -> bytes:
    plugin = _text(1, "hparams") + field(2, BYTES, field(number, BYTES, message))
    return _value(f"_hparams_/{name}", 9, field(1, BYTES, plugin))
