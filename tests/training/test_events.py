"""TensorBoard's event files, read by another's reader of their messages."""

import math
import struct

import pytest
from tensorboardX.proto.event_pb2 import Event

from vae.training import events


def crc(data):
    """CRC-32C without the mask."""
    turned = (events.checksum(data) - 0xA282EAD8) & 0xFFFFFFFF
    return (turned >> 17 | turned << 15) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "known"),
    [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_the_checksum_is_castagnolis(data, known):
    # RFC 3720, B.4, and the check value of every table of checksums.
    assert crc(data) == known


def records(path):
    """The messages of a file, every length and checksum of it held against what they are of."""
    data, found = path.read_bytes(), []
    while data:
        length, of_length = struct.unpack("<QI", data[:12])
        body, (of_body,) = data[12:][:length], struct.unpack("<I", data[12 + length :][:4])
        assert of_length == events.checksum(data[:8]) and of_body == events.checksum(body)
        found.append(Event.FromString(body))
        data = data[16 + length :]
    return found


def test_what_is_written_is_read_back(tmp_path):
    written = events.Events(tmp_path / "tensorboard")
    values = {"train/elbo": -28.125, "train/β": 1e-30, "train/none": math.nan, "train/far": 1e300}
    written.write(12, values)
    written.write(2**40, {"validation/elbo": 0.0})
    (path,) = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    head, first, second = records(path)  # before it is closed: a kill loses nothing
    assert head.file_version == "brain.Event:2" and head.wall_time > 1.7e9
    read = {value.tag: value.simple_value for value in first.summary.value}
    assert first.step == 12 and read.keys() == values.keys()
    assert read["train/elbo"] == -28.125 and read["train/β"] == pytest.approx(1e-30, rel=1e-6)
    assert math.isnan(read["train/none"]) and read["train/far"] == math.inf
    assert second.step == 2**40 and second.summary.value[0].simple_value == 0.0
    written.close()
