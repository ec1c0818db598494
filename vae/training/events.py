"""TensorBoard's event files: scalars alone, with nothing but the standard library.

A file is a sequence of records, each framed as TFRecord frames them: the length, 8 bytes, its
checksum, the bytes, their checksum; everything little-endian. A record is a protobuf message
`Event`, whose fields are written here by number (tensorflow/core/util/event.proto, summary.proto).
"""

import os
import socket
import struct
import time
from collections.abc import Mapping
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


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # a negative number is its two's complement
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _field(number: int, wire: int, data: bytes) -> bytes:
    size = _varint(len(data)) if wire == BYTES else b""
    return _varint(number << 3 | wire) + size + data


def event(seconds: float, step: int = 0, values: Mapping[str, float] | None = None) -> bytes:
    """An `Event`: values by tag; without any, the one that a file begins with."""
    head = _field(1, DOUBLE, struct.pack("<d", seconds)) + _field(2, VARINT, _varint(step))
    if values is None:
        return head + _field(3, BYTES, VERSION)
    summary = b"".join(
        _field(1, BYTES, _field(1, BYTES, tag.encode()) + _field(2, FLOAT, _float(value)))
        for tag, value in values.items()
    )
    return head + _field(5, BYTES, summary)


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
        self._file.write(framed(event(time.time(), step, values)))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
