import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from vae.errors import UserError
from vae.reports import figures, latent_figures, mosaics, strips

TITLES = {"elbo": "ELBO (nats)", "loss": "Loss (nats)", "mi": "$I$ (nats)"}


def training_records(num=50, **constant):
    for step in range(1, num + 1):
        values = {"elbo": -100.0 / step, "loss": 100.0 / step, "distortion": 1.0, "rate": 2.0}
        yield {"step": step, "epoch": step / 2, "split": "train", "beta": 1.0, **values, **constant}
        if step % 10 == 0:
            yield {"step": step, "epoch": step / 2, "split": "validation", **values}


def curves(records):
    return figures.training_curves(records, TITLES)


def lines(figure):
    return {axes.get_title("left"): axes.get_lines() for axes in figure.axes if axes.get_lines()}


def test_curves_are_drawn_as_logged_with_units():
    drawn = lines(curves(list(training_records())))
    assert {"ELBO (nats)", "Loss (nats)"} <= drawn.keys()
    train, validation = drawn["ELBO (nats)"]
    np.testing.assert_allclose(train.get_xdata(), np.arange(1, 51) / 2)
    np.testing.assert_allclose(train.get_ydata(), -100.0 / np.arange(1, 51))
    np.testing.assert_allclose(validation.get_xdata(), [5, 10, 15, 20, 25])


def test_every_term_has_a_curve_and_those_without_a_title_go_by_name(tmp_path):
    own = {"zeta_2": 3.0, "$odd_$": 1.0, "mi": 2.0}
    others = {"gradient_norm": 1.0, "skipped_steps": 0, "examples_per_second": 9.0, "capacity": 25}
    figure = curves(list(training_records(3, **own, **others, learning_rate=1e-3)))
    known, schedules = ["ELBO (nats)", "Loss (nats)", "$I$ (nats)"], ["$\\beta$", "Learning rate"]
    assert list(lines(figure)) == [*known, "distortion", "rate", "zeta_2", "$odd_$", *schedules]
    figures.save(figure, tmp_path / "curves.png")


@pytest.mark.parametrize("odd", [None, float("nan"), float("inf"), "text"])
def test_curves_skip_what_is_no_number(odd, tmp_path):
    records = [*training_records(3), {"step": 4, "epoch": 2.0, "split": "train", "elbo": odd}]
    figure = curves(records)
    assert len(lines(figure)["ELBO (nats)"][0].get_xdata()) == 3
    figures.save(figure, tmp_path / "curves.png")


def test_one_record_is_enough(tmp_path):
    record = {"step": 1, "split": "train", "elbo": -1.0}
    figures.save(curves([record]), tmp_path / "curves.png")


@pytest.mark.parametrize("size", [1, 2, 500])
def test_kl_is_sorted_and_coloured_by_activity(size, tmp_path):
    rng = np.random.default_rng(size)
    kl, variance = rng.gamma(1.0, 1.0, size), rng.uniform(0.0, 0.02, size)
    figure = latent_figures.kl_per_latent(kl, variance, threshold=0.01)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, np.sort(kl)[::-1])
    active = matplotlib.colors.to_rgba(latent_figures.ACTIVE)
    coloured = [bar.get_facecolor() == active for bar in figure.axes[0].patches]
    assert coloured == list(variance[np.argsort(-kl)] > 0.01)
    ticks = figure.axes[1].get_xticklabels()  # where the traversals find it
    named = {int(tick.get_position()[0]): int(tick.get_text()) for tick in ticks}
    assert 1 in named and len(named) <= latent_figures.NAMED
    assert all(latent == np.argsort(-kl)[place - 1] for place, latent in named.items())
    figures.save(figure, tmp_path / "kl.png")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("threshold", [0.0, 0.01])
def test_kl_of_a_collapsed_model(threshold, tmp_path):
    figure = latent_figures.kl_per_latent(np.zeros(5), np.zeros(5), threshold)
    assert figure.axes[0].get_title("right") == "0 of 5 active"
    figures.save(figure, tmp_path / "kl.png")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [1, 8, 33])
def test_pictures_hold_every_pixel_exactly(side, channels, tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (2, 3, side, side, channels)) / 255
    path = figures.save(mosaics.picture_rows(rows), tmp_path / "new folder" / "rows.png")
    tiled = mosaics.mosaic(mosaics.fit(rows)) / 255
    read = imread(path)
    np.testing.assert_array_equal(read[..., 3], tiled[..., 3])  # clear between: any page's colour
    opaque = tiled[..., 3] == 1
    np.testing.assert_allclose(read[opaque], tiled[opaque], atol=0.5 / 255)


def test_a_mosaic_reads_row_by_row_with_wide_gaps_where_asked():
    rows = np.arange(1, 7).reshape(2, 3, 1, 1, 1) / 10
    picture = mosaics.mosaic(rows, gap=1, wide_after=(0,)) / 255
    assert picture.shape == (3, 8, 4)
    np.testing.assert_allclose(picture[::2, [0, 5, 7], 0], rows[:, :, 0, 0, 0], atol=0.5 / 255)
    assert picture[..., 3].sum() == 6


def test_what_a_grid_lacks_is_clear_and_its_columns_have_heads(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        mosaics, "picture_rows", lambda rows, headers, cell: shown.update(rows=rows, heads=headers)
    )
    mosaics.grid(np.arange(4.0).reshape(4, 1, 1, 1), ["a", "b", "c"])
    np.testing.assert_array_equal(
        shown["rows"][..., 0, 0, 0], [[0, 1, 2], [3, np.nan, np.nan]]
    )
    assert shown["heads"] == {0: "a", 1: "b", 2: "c"}
    picture = mosaics.mosaic(shown["rows"], gap=0)
    assert picture[..., 3].tolist() == [[255] * 3, [255, 0, 0]]


def test_the_first_tenth_is_cut_off_where_enough_follows_it():
    few = np.stack([np.arange(1.0, 21), -100 / np.arange(1.0, 21)], axis=1)
    many = np.stack([np.arange(1.0, 41), -100 / np.arange(1.0, 41)], axis=1)
    assert figures.limits(few, from_zero=False)[0] < -100
    assert -25 < figures.limits(many, from_zero=False)[0] < -100 / 5  # from epoch 5 on
    several = np.concatenate([few] * 5)  # curves of 20 places each
    assert figures.limits(several, from_zero=False)[0] < -100


def test_large_images_are_averaged_and_small_ones_repeated():
    large = np.random.default_rng(0).uniform(size=(2, 218, 178, 3))
    shrunk = mosaics.fit(large, cell=96)
    assert shrunk.shape == (2, 109, 89, 3)
    np.testing.assert_allclose(shrunk[0, 0, 0], large[0, :2, :2].mean((0, 1)))
    small = np.arange(6.0).reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(mosaics.fit(small, cell=6)[:, ::2, ::2], small)


@pytest.mark.parametrize(("side", "factor"), [(8, 12), (28, 4), (32, 4), (64, 4), (65, 1)])
def test_small_images_are_enlarged_and_fit_a_page_side_by_side(side, factor):
    image = np.random.default_rng(0).uniform(size=(side, side, 3))
    large = mosaics.fit(image)
    np.testing.assert_array_equal(large, image.repeat(factor, 0).repeat(factor, 1))
    columns = mosaics.columns_of_a_page(image)
    row = np.repeat(image[None], columns, 0)
    width, _ = mosaics.reconstructions(row, row, columns).get_size_inches() * figures.DPI
    assert width <= mosaics.PAGE < width + large.shape[1] + mosaics.GAP + 1


@pytest.mark.parametrize(("width", "shown"), [(8, 128), (28, 112), (32, 128), (64, 256)])
def test_what_moves_is_shown_by_whole_factors(width, shown):
    assert strips.Strip("", 1, 1, width, 1).shown == shown
    wide = strips.Strip("", 1, 1, 6 * (width + 1), 1).shown_wide
    assert wide % (6 * (width + 1)) == 0 and 500 < wide <= strips.PAGE


def test_reconstructions_stand_under_their_inputs(monkeypatch):
    shown = {}
    monkeypatch.setattr(mosaics, "picture_rows", lambda rows, *_: shown.update(rows=rows))
    inputs = np.arange(5.0).reshape(5, 1, 1, 1)
    mosaics.reconstructions(inputs, inputs + 0.5, columns=2)
    np.testing.assert_array_equal(
        shown["rows"][..., 0, 0, 0], [[0, 1], [0.5, 1.5], [2, 3], [2.5, 3.5]]
    )


def test_every_picture_can_be_drawn_from_few_images(tmp_path):
    one = np.full((1, 4, 6, 2), 0.5)
    values = np.linspace(-3, 3, 2)
    for number, figure in enumerate(
        (
            mosaics.grid(np.repeat(one, 3, 0), ["a", "b"]),
            mosaics.reconstructions(one, one),
            mosaics.interpolations(one, one[:, None].repeat(2, 1), one),
            mosaics.traversals(one[:, None].repeat(2, 1), ["$z_{0}$\n1.00"], values),
        )
    ):
        figures.save(figure, tmp_path / f"{number}.png")


def test_a_figure_that_cannot_be_saved_leaves_nothing(tmp_path):
    path = tmp_path / "taken.png"
    path.mkdir()
    with pytest.raises(UserError, match=r"taken\.png is a directory"):
        figures.save(mosaics.grid(np.zeros((1, 2, 2, 1))), path)
    assert [item.name for item in tmp_path.iterdir()] == ["taken.png"]


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    before = dict(matplotlib.rcParams)
    curves(list(training_records(2)))
    assert dict(matplotlib.rcParams) == before
