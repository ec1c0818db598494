"""TensorBoard's event files, with nothing but the standard library.

A file is a sequence of records, each framed as TFRecord frames them: the length, 8 bytes, its
checksum, the bytes, their checksum; everything little-endian. A record is a protobuf message
`Event`, whose fields are written here by number (tensorflow/core/util/event.proto, summary.proto).
"""

import os
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

VERSION = b"brain.Event:2"
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5  # protobuf's wire types


def _table() -> list[int]:
    """CRC-32C of each byte: Castagnoli's polynomial, bits reversed."""
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)
        found.append(value)
    return found


CRC = _table()


def checksum(data: bytes) -> int:
    """CRC-32C of `data`, masked as TFRecord masks it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(data: bytes) -> bytes:
    """One record of a file."""
    length = struct.pack("<Q", len(data))
    sums = (struct.pack("<I", checksum(part)) for part in (length, data))
    return length + next(sums) + data + next(sums)


def varint(value: int) -> bytes:
    """A whole number as protobuf writes it."""
    value &= 2**64 - 1  # a negative number is its two's complement
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def field(number: int, wire: int, data: bytes) -> bytes:
    """A field of a message."""
    size = varint(len(data)) if wire == BYTES else b""
    return varint(number << 3 | wire) + size + data


def event(seconds: float, step: int = 0, values: Iterable[bytes] | None = None) -> bytes:
    """An `Event` with messages of values; without any, the one that a file begins with."""
    head = field(1, DOUBLE, struct.pack("<d", seconds)) + field(2, VARINT, varint(step))
    if values is None:
        return head + field(3, BYTES, VERSION)
    return head + field(5, BYTES, b"".join(field(1, BYTES, value) for value in values))


def scalar(tag: str, value: float) -> bytes:
    """The message of a number."""
    return field(1, BYTES, tag.encode()) + field(2, FLOAT, _float(value))


def _float(value: float) -> bytes:
    try:
        return struct.pack("<f", value)
    except OverflowError:  # above what 32 bits hold
        return struct.pack("<f", float("inf") if value > 0 else -float("inf"))


class Events:
    """A new event file in a folder, which is made; every record is written at once."""

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        began = time.time()
        name = f"events.out.tfevents.{int(began):010d}.{socket.gethostname()}.{os.getpid()}"
        self._file = open(folder / name, "ab", buffering=0)
        self._file.write(framed(event(began)))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars by tag, as they are at a step."""
        self.add(step, [scalar(tag, value) for tag, value in values.items()])

    def add(self, step: int, values: Iterable[bytes]) -> None:
        """Messages of values (`scalar`, `vae.training.summaries`), as they are at a step."""
        self._file.write(framed(event(time.time(), step, values)))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
