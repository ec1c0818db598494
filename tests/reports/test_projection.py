import sys
import types

import numpy as np
import pytest
from matplotlib.colors import to_hex

import vae
from tests.reports.fake import Run, read
from vae.reports import figures, latent_figures, projection
from vae.reports.page import report
from vae.reports.view import MOST_EXAMPLES, View


@pytest.fixture(autouse=True)
def without_umap(monkeypatch):
    """Also where it is installed; and fewer pixels, for speed."""
    monkeypatch.setitem(sys.modules, "umap", None)
    monkeypatch.setattr(figures, "DPI", 60)


@pytest.mark.parametrize("shape", [(50, 7), (9, 30), (20, 2), (3, 3)])
def test_components_are_those_of_numpys_svd(shape):
    means = np.random.default_rng(0).normal(size=shape) * np.arange(1, shape[1] + 1)
    points, shares = projection.principal(means)
    left, sizes, _ = np.linalg.svd(means - means.mean(0), full_matrices=False)
    scores = left[:, :2] * sizes[:2]
    signs = np.sign((scores * points).sum(0))
    np.testing.assert_allclose(points, scores * signs, atol=1e-8)
    np.testing.assert_allclose(shares, sizes[:2] ** 2 / (sizes**2).sum(), atol=1e-10)
    assert (points[np.abs(points).argmax(0), [0, 1]] > 0).all()


@pytest.mark.parametrize("means", [np.zeros((5, 3)), np.ones((1, 4))])
def test_what_does_not_vary_is_a_point(means):
    points, shares = projection.principal(means)
    np.testing.assert_array_equal(points, np.zeros((len(means), 2)))
    np.testing.assert_array_equal(shares, [0, 0])


def test_two_latents_are_shown_as_they_are():
    means = np.random.default_rng(0).normal(size=(20, 2))
    points, names, how = projection.project(means)
    assert points is means and names == ("$z_0$", "$z_1$") and how == "latents"


def test_axes_say_their_share_of_the_variance():
    means = np.zeros((4, 3))
    means[:, 1], means[:, 2] = [-3, 3, -3, 3], [-1, -1, 1, 1]
    _, names, how = projection.project(means)
    assert how == "pca"
    assert names == ("component 1 (90 % of variance)", "component 2 (10 % of variance)")


def test_umap_is_used_where_it_is(monkeypatch):
    class UMAP:
        def __init__(self, neighbours, **settings):
            assert neighbours == 15 and settings["random_state"] == 0

        def fit_transform(self, means):
            return means[:, :2] + 1

    umap = types.ModuleType("umap")
    umap.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", umap)
    means = np.random.default_rng(0).normal(size=(40, 5))
    points, names, how = projection.project(means)
    np.testing.assert_array_equal(points, means[:, :2] + 1)
    assert names == ("UMAP 1", "UMAP 2") and how == "umap"
    assert projection.project(means[:5])[2] == "pca"  # fewer than it needs neighbours


def test_at_most_two_thousand_examples_each_encoded_once():
    run = Run((4, 4, 1), 3, num=2600)
    seen = []
    encode = run.encode
    run.encode = lambda x, context=None: seen.append(len(x)) or encode(x, context)
    means = View(run, "test", None).means(projection.MOST)
    np.testing.assert_allclose(means, encode(run.x[:2000])[0])
    assert seen == [MOST_EXAMPLES, 1000]
    few = View(Run((4, 4, 1), 3, num=30), "test", None)
    assert few.means(projection.MOST) is not None and len(few.means(10)) == 10


def test_classes_are_named_and_coloured_and_those_past_the_colours_are_triangles():
    points = np.arange(30.0).reshape(15, 2)
    figure = latent_figures.class_points(points, np.arange(15) % 12, ("a", "b"))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(map(str, range(12)))
    groups = figure.axes[0].collections
    np.testing.assert_array_equal(groups[1].get_offsets(), points[[1, 13]])
    assert [to_hex(group.get_facecolor()[0]) for group in groups[:2]] == list(figures.CLASSES[:2])
    assert to_hex(groups[10].get_facecolor()[0]) == figures.CLASSES[0]
    corners = [len(group.get_paths()[0].vertices) for group in groups]
    assert corners[0] == corners[9] != corners[10] == corners[11]


def test_many_labels_are_values(make_run, monkeypatch):
    drawn = {}
    for name in ("class_points", "valued_points"):
        whole = getattr(latent_figures, name)
        monkeypatch.setattr(
            latent_figures, name,
            lambda points, of, names, whole=whole, name=name:
                drawn.update({name: of}) or whole(points, of, names),
        )  # fmt: skip
    report(make_run("many", labels=np.arange(40)))
    assert list(drawn) == ["valued_points"] and drawn["valued_points"].tolist() == list(range(40))
    drawn.clear()
    workdir = make_run("named", labels=np.arange(40) % 2)
    vae.load(workdir).class_names = ("benign", "malignant")
    _, text = read(report(workdir))
    assert drawn["class_points"].tolist()[:3] == ["benign", "malignant", "benign"]
    assert "first 40 test examples, of all latents, on their first two principal" in text
    assert "coloured by label" in text
    drawn.clear()
    _, text = read(report(make_run("none")))
    assert drawn == {"class_points": None} and "coloured by label" not in text


@pytest.mark.parametrize(
    ("shape", "latents", "is_drawn"),
    [((8, 8, 1), 1, False), ((8, 8, 1), 2, False), ((8, 8, 1), 3, True), ((6,), 2, True)],
)
def test_it_is_drawn_where_there_is_no_map_to_move_over(make_run, shape, latents, is_drawn):
    workdir = make_run(shape=shape, latent_size=latents)
    page, _ = read(report(workdir))
    assert ("Posterior means" in page.headings) == is_drawn
    assert (workdir / "figures" / "latents.png").exists() == is_drawn
