"""A folder of the user's pictures: what is read, how, and what is said of the rest."""

import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from vae.data import images, load, pictures
from vae.errors import UserError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 6, 5)).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (6, 5, 3)).astype(np.uint8)
# The upright picture, of what is stored with each EXIF orientation.
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


def _sorted(split_arrays):
    return np.sort(
        np.concatenate([a.reshape(len(a), -1).sum(1, dtype=float) for a in split_arrays])
    )


def _read(path):
    """What a run sees of one picture, and what its header promised."""
    header = images.header(path)
    pixels = images.read(path, header.channels)
    assert pixels.shape == (header.height, header.width, header.channels)
    return pixels, header


def _png(depth, colour_type, width=2, height=2):
    """A PNG that Pillow does not write: so many bits a sample, zeros."""

    def chunk(name, content):
        code = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + code

    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    rows = zlib.compress(bytes(100))
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _save(folder, arrays, suffix="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for index, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{index:03}.{suffix}")


@pytest.mark.parametrize("stream", [False, True])
def test_folder_of_pictures(config, tmp_path, stream):
    _save(tmp_path / "a", GREY[:20])
    _save(tmp_path / "b", GREY[20:])
    data = load(config(name="files", path=str(tmp_path), stream=stream))
    assert (data.kind, data.levels, data.shape) == ("grey", 256, (6, 5, 1))
    x = [np.asarray(split.x) for split in data.splits.values()]
    assert [len(part) for part in x] == [32, 4, 4]
    np.testing.assert_array_equal(_sorted(x), _sorted([GREY]))


def test_folder_with_splits_of_colour_and_jpeg(config, tmp_path):
    colour = np.full((30, 8, 8, 3), 90, np.uint8)
    _save(tmp_path / "train", colour[:20])
    _save(tmp_path / "test", colour[20:], "JPG")
    _save(tmp_path / "validation", GREY[:4, :5, :5].repeat(2, 1)[:, :8].repeat(2, 2)[:, :, :8])
    data = load(config(name="files", path=str(tmp_path), validation_size=3))
    assert [len(split) for split in data.splits.values()] == [20, 3, 10]
    assert data.shape == (8, 8, 3)  # grey among colours becomes colour
    assert abs(data.splits["test"].x.astype(int) - 90).max() <= 2  # JPEG rounds


def test_pictures_of_different_sizes_need_an_image_size(config, tmp_path):
    _save(tmp_path, GREY)
    Image.fromarray(np.full((20, 40), 200, np.uint8)).save(tmp_path / "wide.png")
    with pytest.raises(UserError, match="6x5.*20x40.*data.image_size"):
        load(config(name="files", path=str(tmp_path)))
    data = load(config(name="files", path=str(tmp_path), image_size=10))
    assert data.shape == (10, 10, 1)
    assert sum(len(split) for split in data.splits.values()) == 41


def test_resizing_keeps_the_middle(config, tmp_path):
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 250
    _save(tmp_path, [wide] * 10)
    data = load(config(name="files", path=str(tmp_path), image_size=5))
    assert (data.splits["train"].x[:, :, 1:4] == 250).all()


def test_folder_refusals(config, tmp_path):
    keys = dict(name="files", path=str(tmp_path))
    with pytest.raises(UserError, match="holds no picture"):
        load(config(**keys))
    _save(tmp_path, GREY)
    (tmp_path / "007.png").write_bytes((tmp_path / "007.png").read_bytes()[:70])
    with pytest.raises(UserError, match="007.png is not a readable picture"):
        load(config(**keys))
    (tmp_path / "007.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match="007.png is not a readable picture"):
        load(config(**keys))
    Image.fromarray(np.full((6, 5), 7000, np.uint16)).save(tmp_path / "007.png")
    with pytest.raises(UserError, match="007.png has more than 8 bits"):
        load(config(**keys))


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "tif", "TIFF", "webp"])
def test_every_lossless_type_is_read_exactly(config, tmp_path, suffix):
    """Beside PNGs: none is passed over."""
    _save(tmp_path, GREY[:20])
    for index, array in enumerate(GREY[20:]):
        colours = Image.fromarray(np.repeat(array[..., None], 3, -1))
        colours.save(tmp_path / f"other-{index}.{suffix}", lossless=True)
    with warnings.catch_warnings(action="error"):
        data = load(config(name="files", path=str(tmp_path)))
    assert data.shape == (6, 5, 3)
    x = [np.asarray(split.x) for split in data.splits.values()]
    np.testing.assert_array_equal(_sorted(x), _sorted([np.repeat(GREY[..., None], 3, -1)]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "jpg"])
def test_pictures_stand_as_their_exif_says(tmp_path, suffix, orientation):
    stored = np.kron(COLOUR[:3, :2], np.ones((16, 16, 1), np.uint8))  # JPEG's blocks, unmixed
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(stored).save(path, exif=exif, lossless=True, quality=100, subsampling=0)
    pixels, _ = _read(path)
    expected = UPRIGHT[orientation](stored)
    assert pixels.shape == expected.shape
    assert abs(pixels.astype(int) - expected).max() <= (3 if suffix == "jpg" else 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white_and_hides_no_colours(config, tmp_path, mode):
    """alpha x + (1 - alpha) 255, rounded; the grey stays grey."""
    alpha = np.array([[0, 255, 128, 51, 204]] * 6, np.uint8)
    colours = COLOUR if mode == "RGBA" else COLOUR[..., :1]
    for index in range(10):
        both = np.concatenate([colours, alpha[..., None]], -1)
        Image.fromarray(both).save(tmp_path / f"{index}.png")
        Image.fromarray(colours.squeeze()).save(tmp_path / f"opaque-{index}.png")
    with pytest.warns(UserWarning, match="10 of 20 pictures have an alpha channel.*white"):
        data = load(config(name="files", path=str(tmp_path)))
    assert data.shape == (6, 5, colours.shape[-1])
    pixels = images.read(tmp_path / "0.png", colours.shape[-1])
    share = alpha[..., None] / 255
    assert abs(pixels - (share * colours + (1 - share) * 255)).max() <= 1
    assert (pixels[:, 0] == 255).all()
    np.testing.assert_array_equal(pixels[:, 1], colours[:, 1])
    np.testing.assert_array_equal(images.read(tmp_path / "opaque-0.png", 3)[..., 0],
                                  colours[..., 0])  # fmt: skip


def test_a_colour_that_stands_for_nothing_is_white(tmp_path):
    grey = GREY[0].copy()
    grey[0, 0], grey[1:] = 7, 9
    path = tmp_path / "key.png"
    Image.fromarray(grey).save(path, transparency=7)
    pixels, header = _read(path)
    assert header.alpha and header.channels == 1
    np.testing.assert_array_equal(pixels[..., 0], np.where(grey == 7, 255, grey))
    palette = Image.fromarray(grey)
    palette.putpalette([value for level in range(256) for value in (level, 0, 0)])
    palette.save(path, transparency=7)
    pixels, header = _read(path)
    assert header.alpha and header.channels == 3
    assert tuple(pixels[0, 0]) == (255, 255, 255) and tuple(pixels[1, 0]) == (9, 0, 0)


def test_palettes_single_bits_and_cmyk_are_what_they_show(tmp_path):
    indices = GREY[0] % 4
    for colours, channels in (([0, 80, 160, 240], 1), ([(0, 9, 1), (2, 8, 3), (4, 7, 5)] * 2, 3)):
        palette = Image.fromarray(indices % len(colours))
        flat = np.reshape([np.resize(colour, 3) for colour in colours], -1).tolist()
        palette.putpalette(flat)
        palette.save(tmp_path / "palette.png")
        pixels, header = _read(tmp_path / "palette.png")
        assert header.channels == channels
        shown = np.reshape(flat, (-1, 3))[indices % len(colours)][..., :channels]
        np.testing.assert_array_equal(pixels, shown)
    Image.fromarray(GREY[0] > 99).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(_read(tmp_path / "bits.png")[0][..., 0], 255 * (GREY[0] > 99))
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "print.jpg", quality=100)
    assert abs(_read(tmp_path / "print.jpg")[0].astype(int) - flat).max() <= 3


@pytest.mark.parametrize(("depth", "colour_type"), [(16, 0), (16, 2), (16, 4), (16, 6)])
def test_more_than_8_bits_are_refused_in_every_mode(tmp_path, depth, colour_type):
    path = tmp_path / "deep.png"
    path.write_bytes(_png(depth, colour_type))
    with pytest.raises(UserError, match="deep.png has more than 8 bits a channel"):
        images.header(path)
    path.write_bytes(_png(8, colour_type))
    assert images.header(path).height == 2


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_picture_too_large_is_one_line_with_its_size(tmp_path, side):
    path = tmp_path / "map.png"
    path.write_bytes(_png(8, 2, side, side))
    with pytest.raises(UserError, match=f"map.png is too large: .*{side**2} pixels") as caught:
        images.header(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff", "webp"])
@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged metadata
def test_a_damaged_picture_is_named(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.kron(COLOUR, np.ones((4, 4, 1), np.uint8))).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=f"a.{suffix} is not a readable picture"):
        _read(path)
    rng = np.random.default_rng(1)
    for _ in range(60):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(0, min(len(content), 300), 4)] = rng.integers(0, 256, 4)
        path.write_bytes(content.tobytes())
        try:
            _read(path)  # nothing else may be wrong with it
        except UserError as error:
            assert f"a.{suffix} " in str(error) and len(str(error).splitlines()) <= 2


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_of_several_frames_the_first_is_read_and_this_is_said(config, tmp_path, suffix):
    frames = [Image.fromarray(np.repeat(x[..., None], 3, -1)) for x in GREY[:3]]
    _save(tmp_path, GREY)
    path = tmp_path / f"film.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    with pytest.warns(UserWarning, match="1 of 41 pictures have several frames, and the first"):
        load(config(name="files", path=str(tmp_path)))
    np.testing.assert_array_equal(images.read(path, 3), np.asarray(frames[0]))


def test_pictures_of_unread_types_are_counted_and_other_files_are_not(config, tmp_path):
    _save(tmp_path, GREY)
    keys = dict(name="files", path=str(tmp_path))
    for name in ("Thumbs.db", "notes.txt", "._000.png", ".hidden/a.png", "__MACOSX/._a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")
    with warnings.catch_warnings(action="error"):
        assert sum(map(len, load(config(**keys)).splits.values())) == 40
    for name in ("a.gif", "b.GIF", "sub/c.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.warns(UserWarning, match="not read: 2 .gif, 1 .heic; convert them to PNG"):
        load(config(**keys))
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match=r"holds no picture .*: not read: 2 \.gif"):
        load(config(**keys))


def test_links_are_followed_and_a_loop_of_them_ends(config, tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    _save(folder / "a", GREY[:20])
    _save(elsewhere, GREY[20:])
    (folder / "b").symlink_to(elsewhere)
    (folder / "a" / "up").symlink_to(folder)
    (elsewhere / "round").symlink_to(folder)
    names = [os.path.relpath(path, folder) for path in pictures.found(folder)]
    assert names == [f"{part}/{i:03}.png" for part in "ab" for i in range(20)]
    data = load(config(name="files", path=str(folder)))
    x = [np.asarray(split.x) for split in data.splits.values()]
    np.testing.assert_array_equal(_sorted(x), _sorted([GREY]))


def test_pictures_beside_the_splits_are_counted(config, tmp_path):
    _save(tmp_path / "train", GREY[:30])
    _save(tmp_path / "val", GREY[30:])
    keys = dict(name="files", path=str(tmp_path))
    with pytest.warns(UserWarning, match="10 pictures beside train, validation and test are not"):
        assert sum(map(len, load(config(**keys)).splits.values())) == 30
    (tmp_path / "train").rename(tmp_path / "test")
    with pytest.raises(UserError, match="holds test and no train"):
        load(config(**keys))
