"""The rendered sprites: the factor grid, the shapes, and reading only what is asked for."""

import numpy as np
import pytest

from vae.data import describe, load, sprites

SIZES = (3, 6, 40, 32, 32)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """x and factors of the whole grid, read lazily."""
    from vae.data.table import row

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        split = sprites.load("sprites", row("sprites")).splits["train"]
        split.x[0]  # renders, while the cache is there
        yield split


def _image(grid, *factors):
    return grid.x[sprites.rank(np.array([factors]), SIZES)][0, :, :, 0].astype(int)


def test_grid_is_complete_and_rank_inverts_unrank(grid):
    assert len(grid) == 737_280 == np.prod(SIZES)
    rows = np.random.default_rng(0).integers(0, 737_280, 1000)
    factors = sprites.unrank(rows, SIZES)
    np.testing.assert_array_equal(sprites.rank(factors, SIZES), rows)
    np.testing.assert_array_equal(grid.factors[rows], factors)
    np.testing.assert_array_equal(sprites.unrank(np.array([737_279]), SIZES), [[2, 5, 39, 31, 31]])
    for factor, size in enumerate(SIZES):
        assert set(factors[:, factor]) == set(range(size))


def test_position_moves_the_sprite_by_whole_pixels_inside_the_image(grid):
    for shape in range(3):
        image = _image(grid, shape, 5, 3, 0, 0)
        np.testing.assert_array_equal(
            _image(grid, shape, 5, 3, 7, 12), np.roll(image, (12, 7), (0, 1))
        )
        for x in (0, 31):
            for y in (0, 31):  # nothing is cut off in the corners
                assert _image(grid, shape, 5, 3, x, y).sum() == image.sum()


def test_area_grows_with_the_square_of_the_scale(grid):
    side = 15.0  # pixels in the shape's unit
    for shape, full in ((0, (2 * 0.7) ** 2), (1, np.pi / 2), (2, 3.661 / 1.3**2)):
        areas = [
            np.mean([_image(grid, shape, scale, turn, 16, 16).sum() for turn in range(40)])
            for scale in range(6)
        ]
        expected = full * side**2 * np.linspace(0.5, 1.0, 6) ** 2
        np.testing.assert_allclose(areas, expected, rtol=0.03)


def test_orientation_turns_the_sprite(grid):
    for shape in range(3):
        for orientation in (0, 3, 17):
            image = _image(grid, shape, 4, orientation, 15, 15)
            window = image[15 : 15 + 33, 15 : 15 + 33]
            quarter = _image(grid, shape, 4, orientation + 10, 15, 15)[15 : 15 + 33, 15 : 15 + 33]
            assert (np.rot90(window, -1) != quarter).sum() <= 4  # ties on the edge
    a_tenth = [
        _image(grid, shape, 4, 4, 15, 15) != _image(grid, shape, 4, 0, 15, 15) for shape in range(3)
    ]
    assert all(different.sum() > 20 for different in a_tenth)


def test_symmetries_are_those_of_the_shapes(grid):
    def same(shape, orientation):
        return (
            _image(grid, shape, 5, 0, 9, 9) != _image(grid, shape, 5, orientation, 9, 9)
        ).sum() <= 4

    assert same(0, 10) and same(0, 20)  # a square: quarter turns
    assert not same(1, 10) and same(1, 20)  # an ellipse: half turns
    assert not same(2, 10) and not same(2, 20)  # a heart: none
    heart = _image(grid, 2, 5, 0, 16, 16)
    np.testing.assert_array_equal(np.roll(heart[:, ::-1], 1, axis=1), heart)  # left as right
    assert heart[:32].sum() > heart[33:].sum()  # and its tip below


def test_subset_is_fixed_and_made_without_the_grid(config, monkeypatch):
    data = load(config(name="sprites", size=1000))
    assert describe(data) == ("sprites 1.0: train 900, validation 50, test 50; 64x64x1, 0 and 1")
    assert data.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert data.factor_sizes == SIZES
    read = []
    unrank = sprites.unrank
    monkeypatch.setattr(
        sprites, "unrank", lambda rows, sizes: read.append(len(rows)) or unrank(rows, sizes)
    )
    again = load(config(name="sprites", size=1000, binarization="dynamic"))
    assert max(read) == 900
    assert again.kind == "binary"
    seen = set()
    for name, split in again.splits.items():
        np.testing.assert_array_equal(split.x, data.splits[name].x)
        assert not split.binarized and split.x.max() == 1
        np.testing.assert_array_equal(split.labels, split.factors[:, 0])
        seen |= set(sprites.rank(split.factors, SIZES).tolist())
    assert len(seen) == 1000


def test_rendering_is_cached_whole_and_made_again_when_damaged(config, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = load(config(name="sprites", size=100)).splits["train"].x
    (bits,) = tmp_path.rglob("*.npy")
    assert bits.stat().st_size < 100_000  # packed: 720 windows of 33x33 bits
    assert [path.name for path in (tmp_path / "vae").iterdir()] == ["sprites-1.0"]
    monkeypatch.setattr(sprites, "render", None)  # from the cache alone
    np.testing.assert_array_equal(load(config(name="sprites", size=100)).splits["train"].x, first)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bits.write_bytes(bits.read_bytes()[:5000])
    np.testing.assert_array_equal(load(config(name="sprites", size=100)).splits["train"].x, first)
