import html.parser
import json
import re
import urllib.parse

import numpy as np
import pytest

from vae.errors import UserError
from vae.reports import figures, mosaics, rate_distortion, realism, sweep_figures
from vae.reports.sweep_page import sweep_report
from vae.reports.swept import on_validation

KEYS = ["model.latent_size", "objective.beta", "seed"]


class Page(html.parser.HTMLParser):
    """The page's headings, tables, links, and the addresses of everything it would load."""

    def __init__(self, path):
        super().__init__()
        self.headings, self.sources, self.links, self.words = [], [], [], []
        self.tables, self.best, self.tag = [], [], None  # best: numbers of rows that are marked
        self.feed(path.read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attributes):
        self.tag = tag
        found = dict(attributes)
        self.sources += [found[name] for name in ("src", "srcset") if name in found]
        self.links += [found["href"]] if found.get("href", "#")[0] != "#" else []
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
            self.best += [len(self.tables[-1]) - 1] if found.get("class") == "best" else []
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        self.tag = None

    def handle_data(self, data):
        self.words.append(data)
        if self.tag == "h2":
            self.headings.append(data)
        if self.tag in ("td", "th", "a", "div", "code") and self.tables and self.tables[-1]:
            self.tables[-1][-1][-1] += data


def metrics_of(latents, beta, seed):
    rate = 3.0 * np.log2(latents) / beta
    distortion = 100.0 - 2.0 * rate + seed
    return {
        "elbo": (-(rate + distortion), 0.3), "distortion": distortion, "rate": rate,
        "active_units": float(latents), "nll_iwae_100": (rate + distortion - 2.0, 0.25),
    }  # fmt: skip


def grid(latents=(2, 8), betas=(0.5, 1.0, 4.0), seeds=(0, 1)):
    return [
        (dict(zip(KEYS, values, strict=True)), metrics_of(*values))
        for values in ((z, b, s) for z in latents for b in betas for s in seeds)
    ]


def add_curves(directory, sweep):
    """The n-th trial ends at -80 - n nats."""
    for number, trial in enumerate(sweep["trials"]):
        lines = [
            {"step": 10 * epoch, "epoch": float(epoch), "split": split,
             "elbo": -84.0 + epoch - number}
            for epoch in range(1, 5)
            for split in ("train", "validation")
        ]
        path = directory / "trials" / trial["name"] / "metrics.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def blobs(workdir):
    return np.random.default_rng(0).uniform(size=(5, 8, 8, 1)), []


ALL = {"elbo_heat_map", "nll_iwae_100_heat_map", "active_units_heat_map", "rate_distortion"}


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Fewer pixels, for speed."""
    monkeypatch.setattr(figures, "DPI", 60)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, write_sweep):
    """The page of a sweep of 2 x 3 x 2 trials, of which one failed and one was pruned."""
    directory = tmp_path_factory.mktemp("sweep")
    trials = [(v, None if i in (3, 10) else m) for i, (v, m) in enumerate(grid())]
    sweep = write_sweep(directory, trials, KEYS, states={3: "failed", 10: "pruned"})
    add_curves(directory, sweep)
    for trial in sweep["trials"][:2]:
        (directory / "trials" / trial["name"] / "report.html").write_text("a run")
    path = sweep_report(directory, blobs)
    assert path == directory / "report.html"
    return directory, Page(path), path.read_text(encoding="utf-8")


def test_the_page_holds_its_figures_and_loads_nothing(whole):
    directory, page, text = whole
    assert {path.stem for path in (directory / "figures").glob("*.png")} == ALL | {"validation"}
    assert len(page.sources) == 5 + 6  # a grid of samples for each combination
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not re.search(r"https?://|@import|url\(", text)
    assert page.headings == [
        "Summary", "Over latent size and β", "Rate and distortion", "Validation", "Means of p(x|z)",
        "Trials", "Config", "Environment",
    ]  # fmt: skip
    assert not list(directory.rglob(".*"))  # no temporary file is left


def test_links_lead_to_the_pages_that_exist(whole):
    directory, page, _ = whole
    icon, *links = page.links
    assert icon == "data:," and len(links) == 2
    for link in links:
        assert not re.search(r"[=,]", link)
        assert (directory / urllib.parse.unquote(link)).read_text() == "a run"


def test_the_verdict_counts_names_the_failed_and_the_best(whole):
    said = whole[1].text
    assert "12 trials: latent size 2, 8 × β 0.5, 1, 4 × seed 0, 1" in said
    assert "10 of 12 trials done, 1 failed, 1 pruned." in said
    assert "latent_size=2,beta=1.0,seed=1 failed: reason 3 <&>" in said  # escaped, and whole
    assert (  # on the validation set, where it is not the one of the best test ELBO
        "Best trial, of the highest validation ELBO (−80 nats): latent size 2, β 0.5, seed 0. On "
        "1,234 test examples, ELBO: −94.00 ± 0.30 nats; −log p(x), IWAE bound, K = 100: "
        "92.00 ± 0.25 nats (± standard error). Best mean over seeds of the validation ELBO: "
        "−80.50 ± 0.50 nats (standard error over 2 seeds), of latent size 2, β 0.5."
    ) in said
    assert whole[1].best == [1]
    assert "The marked trial is the best by validation ELBO." in said


def test_without_validation_the_choice_is_said_to_be_of_the_test_examples(tmp_path, write_sweep):
    page, _ = page_of(tmp_path, write_sweep, grid())
    assert (
        "Best trial by ELBO: −82.00 ± 0.30 nats (standard error over 1,234 test examples, on which "
        "it was chosen), of latent size 8, β 0.5, seed 0. Best mean over seeds: −82.50 ± 0.50 nats "
        "(standard error over 2 seeds), of latent size 8, β 0.5."
    ) in page.text
    assert "IWAE bound, K = 100: 80.00 ± 0.25 nats (standard error over 1,234 test" in page.text
    assert page.best == [7] and "best by test ELBO" in page.text


@pytest.mark.parametrize(("checkpoint", "best"), [("best", -3.0), ("last", -5.0)])
def test_the_bound_of_the_checkpoint_that_is_evaluated_counts(checkpoint, best):
    lines = [{"split": "validation", "elbo": value} for value in (-9.0, -3.0, -5.0)]
    lines.append({"split": "train", "elbo": -1.0})
    row = {"value": 0.25, "split": "test", "metrics": {"elbo": -4.0}}
    assert on_validation(row, lines, "", checkpoint) == {"elbo": best}
    assert on_validation(row, lines, "sap", checkpoint) == {"elbo": best, "sap": 0.25}
    own = {**row, "split": "validation"}
    assert on_validation(own, [], "", checkpoint) == {"elbo": -4.0}


def test_the_tables_hold_means_over_seeds_and_every_trial(whole):
    means, trials, settings, _ = whole[1].tables
    assert means[0] == [
        "latent size", "β", "n", "ELBO (nats)", "−log p(x), IWAE bound, K = 100 (nats)",
        "Distortion (nats)", "Rate (nats)", "Active units", "Seconds",
    ]  # fmt: skip
    assert means[1] == [
        "2", "0.5", "2", "−94.50 ± 0.50", "92.50 ± 0.50", "88.5 ± 0.5", "6.00 ± 0.00", "2 ± 0",
        "10.5 ± 0.5",
    ]  # fmt: skip
    assert [line[2] for line in means[1:]] == ["2", "1", "2", "2", "2", "1"]
    assert len(trials) == 13
    assert trials[4] == ["latent_size=2,beta=1.0,seed=1", "failed: reason 3 <&>"]
    assert trials[1][:3] == ["latent_size=2,beta=0.5,seed=0", "done", "−94.00 ± 0.30"]
    assert ["model.latent_size", "swept: 2, 8"] in settings


def test_captions_say_what_the_figures_show(whole):
    said = whole[1].text
    assert "As β falls, rate rises and distortion falls at every latent size." in said
    assert "Lines join means over seeds of the same latent size in order of β." in said
    assert "A cross is where a trial was pruned." in said
    assert "The first seed of each combination." in said


def page_of(directory, write_sweep, trials, keys=KEYS, samples=lambda _: None, **options):
    sweep = write_sweep(directory, trials, keys, **options)
    return Page(sweep_report(directory, samples)), sweep


def test_a_rate_that_does_not_rise_is_named(tmp_path, write_sweep):
    trials = grid(seeds=(0,))
    trials[0][1]["rate"] = 1.0  # of latent size 2, beta 0.5
    said = page_of(tmp_path, write_sweep, trials)[0].text
    assert (
        "As β falls, rate does not always rise at latent size 2; rate rises and distortion falls "
        "elsewhere."
    ) in said


def test_no_trial_done_is_still_a_page(tmp_path, write_sweep):
    trials = [(values, None) for values, _ in grid()]
    states = {i: "failed" if i < 2 else "pending" for i in range(12)}
    page, _ = page_of(tmp_path, write_sweep, trials, states=states)
    assert "0 of 12 trials done, 2 failed, 10 pending. There is nothing to compare" in page.text
    assert page.headings == ["Summary", "Trials", "Config", "Environment"]
    assert not (tmp_path / "figures").exists()


def test_a_trial_that_is_not_evaluated_is_left_out(tmp_path, write_sweep):
    trials = grid(seeds=(0,))
    trials[-1] = (trials[-1][0], None)
    said = page_of(tmp_path, write_sweep, trials)[0].text
    assert "6 of 6 trials done. 1 of those done not evaluated" in said
    assert "standard error over" in said and "Best mean over seeds" not in said


def test_a_metric_that_is_missing_leaves_its_panel_out(tmp_path, write_sweep):
    trials = [(v, {"elbo": m["elbo"]}) for v, m in grid()]
    page, _ = page_of(tmp_path, write_sweep, trials)
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"elbo_heat_map"}
    assert "Rate and distortion" not in page.headings


def test_trials_without_any_metric_of_interest(tmp_path, write_sweep):
    page, _ = page_of(tmp_path, write_sweep, [(v, {"loss": 1.0}) for v, _ in grid()])
    assert "12 of 12 trials done." in page.text and "Over latent size" not in page.text


def of_images(metrics, n):
    return metrics | {"psnr": 20.0 + n, "reconstruction_frechet_distance": 9.0 - n % 4}


def test_realism_is_drawn_where_reconstructions_were_measured(tmp_path, write_sweep):
    trials = [(values, of_images(m, n)) for n, (values, m) in enumerate(grid())]
    page, _ = page_of(tmp_path / "measured", write_sweep, trials)
    assert "Rate, distortion and realism" in page.headings
    assert "A point is a mean over seeds. Up is closer" in page.text
    plain, _ = page_of(tmp_path / "plain", write_sweep, grid())
    assert "Rate, distortion and realism" not in plain.headings


def test_the_plane_of_realism_has_each_run_at_its_rate_and_psnr():
    rate, psnr, distance = [10.0, 40.0, 90.0], [20.0, 25.0, 24.0], [8.0, 3.0, 5.0]
    points = [
        {"rate": r, "psnr": p, "reconstruction_frechet_distance": d, "label": f"run {r:g}"}
        for r, p, d in zip(rate, psnr, distance, strict=True)
    ]
    figure = realism.draw(points)
    axes, bar = figure.axes
    (drawn,) = axes.collections
    np.testing.assert_allclose(drawn.get_offsets(), np.stack([rate, psnr], axis=1))
    np.testing.assert_allclose(drawn.get_array(), distance)
    shade = drawn.to_rgba(drawn.get_array())[:, :3].sum(1)
    assert np.argsort(shade).tolist() == [1, 2, 0]  # the most real is darkest
    assert [text.get_text() for text in axes.texts] == ["run 10", "run 40", "run 90"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rate (nats)", "PSNR (dB)")
    assert bar.get_ylim() == (3.0, 8.0)
    realism.draw(points[:1] * 2)  # all alike


def test_one_key_is_a_line_and_the_seed_alone_is_none(tmp_path, write_sweep):
    for name, betas, stems in (("one", (0.5, 1.0, 4.0), "_against_key"), ("none", (1.0,), "")):
        directory = tmp_path / name
        page, _ = page_of(directory, write_sweep, grid(latents=(2,), betas=betas))
        found = {path.stem for path in (directory / "figures").iterdir()}
        metrics = ("elbo", "nll_iwae_100", "active_units")
        assert found == {"rate_distortion", *(m + stems for m in metrics if stems)}
        assert ("Over β" in page.headings) == bool(stems)


def test_further_and_categorical_keys(tmp_path, write_sweep):
    keys = ["model.encoder", "model.hidden", "objective.beta"]
    trials = [
        (dict(zip(keys, (encoder, hidden, beta), strict=True)), metrics_of(4, beta, 0))
        for encoder in ("mlp", "conv") for hidden in ([], [200, 200]) for beta in (0.5, 1.0)
    ]  # fmt: skip
    page, _ = page_of(tmp_path, write_sweep, trials, keys)
    assert "Over β and encoder" in page.headings
    assert "Each cell is the best over hidden: the highest ELBO, say; the mean" in page.text


def test_a_search_is_points_and_its_metric_is_reported(tmp_path, write_sweep):
    keys = ["objective.beta", "optimizer.learning_rate"]
    rng = np.random.default_rng(0)
    trials = [
        (dict(zip(keys, rng.uniform(1e-4, 1.0, 2), strict=True)), {**metrics_of(8, 1.0, i)})
        for i in range(12)
    ]
    page, _ = page_of(tmp_path, write_sweep, trials, keys)
    assert (tmp_path / "figures" / "elbo_scatter.png").exists()
    assert "12 values of learning rate" in page.text


def test_many_grids_are_cut_and_those_that_fail_are_named(tmp_path, write_sweep):
    drawn = []

    def samples(workdir):
        drawn.append(workdir.name)
        if len(drawn) == 1:
            raise UserError("no checkpoint there")
        return np.zeros((1, 3, 3, 3)), []

    trials = [({"seed": s, "a.b": n}, {"elbo": -1.0 - n}) for n in range(30) for s in (3, 4)]
    page, _ = page_of(tmp_path, write_sweep, trials, ["a.b", "seed"], samples)
    assert len(drawn) == 24 and all(name.startswith("seed=3") for name in drawn)
    assert "The first 24 of 30 are shown." in page.text
    assert "No samples of seed=3,b=0: no checkpoint there." in page.text


@pytest.mark.parametrize("heads", [[], ["0", "1"]])
def test_classes_above_columns_are_explained(tmp_path, write_sweep, heads):
    images = np.zeros((4, 3, 3, 1)), heads
    page, _ = page_of(tmp_path, write_sweep, grid(), samples=lambda _: images)
    assert ("Above columns stand the classes" in page.text) == bool(heads)


def test_no_sweep_is_named(tmp_path):
    with pytest.raises(UserError, match=r"sweep\.json"):
        sweep_report(tmp_path, blobs)


def test_cells_of_a_heat_map_are_written_and_the_best_is_framed():
    matrix = np.array([[-99.25, np.nan], [-95.0, -90.5]])
    for sign, places in ((1, [(1, 1)]), (-1, [(0, 0)]), (0, [])):
        figure = sweep_figures.heat_map(
            matrix, ["2", "8"], ["0.5", "1"], ("z", "β"), "ELBO", sign
        )
        (axes,) = figure.axes
        texts = {text.get_position(): text.get_text() for text in axes.texts}
        assert texts == {
            (0.5, 0.5): "−99.25", (1.5, 0.5): "–", (0.5, 1.5): "−95.00", (1.5, 1.5): "−90.50",
        }  # fmt: skip
        assert [patch.get_xy() for patch in axes.patches] == places
        (mesh,) = axes.collections
        assert mesh.get_cmap().name == sweep_figures.shades(sign)
        assert [text.get_text() for text in axes.get_yticklabels()] == ["2", "8"]
    assert sweep_figures.shades(0) == "Greys"  # more active units are no better


def test_text_stands_out_from_every_shade():
    assert sweep_figures.readable_on((1, 1, 0.9)) == "#000000"
    assert sweep_figures.readable_on((0.03, 0.1, 0.3, 1.0)) == "#ffffff"


def test_there_is_a_colour_for_every_value_in_order():
    assert list(sweep_figures.colours([8, 2, 8, 4])) == [2, 4, 8]
    many = sweep_figures.colours(range(30))
    assert len(set(many.values())) == 30
    assert list(sweep_figures.named(many)) == [0, 6, 12, 17, 23, 29]


def test_the_legend_of_many_curves_names_values_and_not_trials(tmp_path):
    points = np.array([[1.0, -3.0], [2.0, -2.0]])
    curves = [
        {"points": points + n, "colour": n % 4, "style": n % 3, "stopped": n == 5}
        for n in range(24)
    ]
    figure = sweep_figures.validation_curves(curves, "epoch", "latent size", "β")
    names = [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]
    assert names == [["0", "1", "2", "3"], ["0", "1", "2"]]
    assert len(figure.axes[0].get_lines()) == 25  # and the cross
    figures.save(figure, tmp_path / "curves.png")


def test_lines_of_equal_elbo_are_written_with_it(tmp_path):
    point = {"rate": 10.0, "distortion": 80.0, "colour": None, "line": None, "label": ""}
    other = {**point, "rate": 30.0, "distortion": 50.0}
    hull = np.array([[10.0, 80.0], [30.0, 50.0]])
    figure = rate_distortion.draw([point, other], [point, other], hull, None)
    (axes,) = figure.axes
    levels = {float(t.get_text().replace("−", "-")) for t in axes.texts if t.get_text()}
    assert -80.0 in levels and -100.0 in levels
    for text in filter(lambda text: text.get_text(), axes.texts):
        assert sum(text.xy) == pytest.approx(-float(text.get_text().replace("−", "-")))
    figures.save(figure, tmp_path / "plane.png")


def test_labels_of_points_in_the_plane_cover_no_other():
    """Four colours whose points nearly coincide, in the middle and at a corner."""
    means = [
        {"rate": at + 0.01 * number, "distortion": 9.0 - at, "colour": number, "line": None,
         "label": f"β 0.{number}"}
        for at in (0.0, 4.0, 8.0)
        for number in range(4)
    ]  # fmt: skip
    figure = rate_distortion.draw(means, means, np.array([[0.0, 9.0], [8.0, 1.0]]), "size")
    figure.canvas.draw()
    texts = {mean["label"] for mean in means}
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text() in texts]
    assert len(boxes) == len(means)
    assert not [1 for n, box in enumerate(boxes) for other in boxes[:n] if box.overlaps(other)]


def test_a_label_that_finds_no_room_is_left_out():
    crowd = [
        {"rate": 1e-6 * n, "distortion": 5.0, "colour": n, "line": None, "label": f"β {n}.123"}
        for n in range(24)
    ]
    points = [*crowd, {**crowd[0], "rate": 9.0, "distortion": 1.0}]
    figure = rate_distortion.draw(points, crowd, np.array([[0.0, 5.0], [9.0, 1.0]]), "size")
    found = [text.get_text() for text in figure.axes[0].texts]
    assert 6 <= sum(text.startswith("β") for text in found) < 24


def test_the_page_begins_with_what_the_best_trial_makes_of_its_examples(tmp_path, write_sweep):
    sweep = write_sweep(tmp_path, grid(), KEYS)
    add_curves(tmp_path, sweep)
    for trial in sweep["trials"][:3]:  # of which the first is the best on the validation set
        workdir = tmp_path / "trials" / trial["name"]
        (workdir / "report.html").write_text("a run")
        pictures = np.zeros((2, 3, 4, 4, 1))
        figures.save(mosaics.picture_rows(pictures), workdir / "figures" / "reconstructions.png")
    page = Page(sweep_report(tmp_path, blobs))
    assert page.headings[0] == "Best trial"
    assert "Test examples, and under each its reconstruction" in page.text
    assert "by latent_size=2,beta=0.5,seed=0 ." in page.text


@pytest.mark.parametrize(("low", "high"), [(1.1e-4, 9.3e-3), (1e-5, 1.0), (0.02, 50.0), (1.0, 1e6)])
def test_ticks_of_a_logarithmic_axis_stand_apart(low, high):
    found = sweep_figures.round_ticks(low, high)
    assert len(found) >= 2 and low <= min(found) and max(found) <= high
    x = np.geomspace(low, high, 12)
    figure = sweep_figures.scatter(x, np.arange(12.0), np.arange(12.0), ("y", "x"), "ELBO")
    figure.canvas.draw()
    labels = figure.axes[0].get_xticklabels()
    assert [float(label.get_text().replace(",", "")) for label in labels] == pytest.approx(found)
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))
