"""CIFAR-10's original files: the same from each form they come in; what is damaged says so."""

import lzma
import tarfile

import numpy as np
import pytest

from vae.data import cifar, load, prepare
from vae.errors import UserError

EACH = 6
RNG = np.random.default_rng(0)
ROWS = {
    name: np.concatenate(
        [RNG.integers(0, 10, (EACH, 1)), RNG.integers(0, 256, (EACH, 3072))], axis=1
    ).astype(np.uint8)
    for name in (*cifar.FILES["train"], *cifar.FILES["test"])
}
NAMES = "\n".join(f"name {i}" for i in range(10)) + "\n\n"


@pytest.fixture(params=["bin", "xz", "tar"])
def folder(request, tmp_path, monkeypatch, small_row):
    """Files of six images each, in one of the three forms."""
    monkeypatch.setattr(cifar, "EACH", EACH)
    small_row("cifar10", sizes={"train": 5 * EACH, "test": EACH}, validation=4)
    plain = tmp_path / "cifar-10-batches-bin"
    plain.mkdir()
    for name, rows in ROWS.items():
        content = rows.tobytes()
        if request.param == "xz":
            (plain / f"{name}.xz").write_bytes(lzma.compress(content))
        else:
            (plain / name).write_bytes(content)
    (plain / cifar.LABELS).write_text(NAMES)
    if request.param != "tar":
        return plain
    with tarfile.open(tmp_path / cifar.ARCHIVE, "w:gz") as archive:
        archive.add(plain, plain.name)
    return tmp_path


def test_a_pixel_is_where_the_layout_says(folder):
    """Byte 1 + 1024 c + 32 y + x of an example is channel c of its pixel (y, x)."""
    images, labels = cifar.read_split(folder, "train")
    rows = np.concatenate([ROWS[name] for name in cifar.FILES["train"]])
    assert images.shape == (5 * EACH, 32, 32, 3) and labels.tolist() == rows[:, 0].tolist()
    for example, y, x, channel in ((0, 0, 0, 0), (7, 3, 30, 1), (29, 31, 31, 2)):
        assert images[example, y, x, channel] == rows[example, 1 + 1024 * channel + 32 * y + x]


def test_prepared_images_are_the_files(config, folder, tmp_path):
    prepare("cifar10", str(tmp_path / "out"), str(folder))
    data = load(config(name="cifar10", dir=str(tmp_path / "out"), binarization="none"))
    assert [len(split) for split in data.splits.values()] == [26, 4, 6]
    images, labels = cifar.read_split(folder, "test")
    test = data.splits["test"]
    ours = {(x.tobytes(), int(label)) for x, label in zip(test.x, test.labels, strict=True)}
    assert ours == {(x.tobytes(), int(label)) for x, label in zip(images, labels, strict=True)}


@pytest.mark.parametrize(
    "content, said",
    [
        (b"short", "test_batch.bin is damaged or not of cifar10: it has 5 bytes, not 18,438"),
        (bytes([12]) * (EACH * 3073), "damaged: it has a label 12 above 9"),
        (None, "holds no test_batch.bin, test_batch.bin.xz or cifar-10-binary.tar.gz"),
    ],
)
def test_damaged_files_are_refused(tmp_path, monkeypatch, content, said):
    monkeypatch.setattr(cifar, "EACH", EACH)
    if content is not None:
        (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(UserError, match=said):
        cifar.read_split(tmp_path, "test")


def test_a_cut_archive_is_refused(tmp_path):
    (tmp_path / "test_batch.bin.xz").write_bytes(lzma.compress(b"12345")[:-8])
    with pytest.raises(UserError, match="test_batch.bin.xz is damaged .*fetch it again"):
        cifar.read_split(tmp_path, "test")
