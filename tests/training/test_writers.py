"""What TensorBoard and W&B are shown beside scalars, and that it changes no number of a run."""

import io
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.api_pb2 import DATA_TYPE_FLOAT64, Experiment
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tensorboardX.proto.summary_pb2 import Summary

import vae
from tests.helpers import last_state, small_config
from tests.training.test_events import records
from vae import runs
from vae.errors import UserError
from vae.keys import KEYS
from vae.sweeps.grid import sweep
from vae.training import pictures, summaries
from vae.training.writers import Writers


@pytest.mark.parametrize("shape", [(5, 7, 1), (4, 2, 3)])
def test_a_picture_is_read_back_by_another_program(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    value = Summary.Value.FromString(summaries.picture("validation/samples", pixels))
    image = value.image
    assert value.tag == "validation/samples"
    assert (image.height, image.width, image.colorspace) == shape
    read = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
    np.testing.assert_array_equal(read.reshape(shape), pixels)


def test_a_histogram_counts_every_value_between_its_edges():
    values = np.random.default_rng(0).exponential(size=50)
    found = Summary.Value.FromString(summaries.histogram("kl", values)).histo
    assert (found.min, found.max, found.num) == (values.min(), values.max(), 50)
    assert found.sum == pytest.approx(values.sum())
    assert found.sum_squares == pytest.approx((values**2).sum())
    limits, counts = np.array(found.bucket_limit), np.array(found.bucket)
    below = np.searchsorted(np.sort(values), limits[:-1])  # no value is an inner edge
    np.testing.assert_array_equal(counts.cumsum()[:-1], below)
    assert counts.sum() == 50 and limits[-1] == values.max()


def test_images_are_tiled_in_reading_order():
    images = np.stack([np.full((2, 3, 1), n / 255) for n in range(16)])
    found = pictures.tile(images)
    assert found.shape == (4, 24, 1)
    np.testing.assert_array_equal(found[::2, ::3, 0], np.arange(16).reshape(2, 8))
    few = pictures.tile(np.stack([np.zeros((2, 2, 3)), np.ones((2, 2, 3))]))  # one, and under it
    np.testing.assert_array_equal(few[:, 0, 0], [0, 0, 255, 255])
    assert pictures.tile(np.full((2, 4, 4, 5), np.nan)).max() == 0
    beyond = pictures.tile(np.linspace(-1.0, 2.0, 4).reshape(4, 1, 1, 1))
    np.testing.assert_array_equal(beyond[..., 0], [[0, 0], [255, 255]])


def shown(workdir):
    """What TensorBoard's files of a run hold but scalars: (step, value)."""
    paths = sorted((workdir / "tensorboard").iterdir())
    found = [(e.step, v) for path in paths for e in records(path) for v in e.summary.value]
    return [(step, v) for step, v in found if v.WhichOneof("value") != "simple_value"]


def of_plugin(workdir):
    told = {}
    for _, value in shown(workdir):
        if value.tag.startswith("_hparams_"):
            assert value.metadata.plugin_data.plugin_name == "hparams"
            content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
            told[value.tag.removeprefix("_hparams_/")] = content
    return told


def numbers(workdir):
    records = runs.read_metrics(workdir)
    return [{k: v for k, v in r.items() if k != "examples_per_second"} for r in records]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run with pictures at every second validation, and one without."""
    folder = tmp_path_factory.mktemp("writers")
    for name, apart in (("with", 2.0), ("without", 0.0)):
        vae.train(small_config(train__picture_epochs=apart, train__epochs=5), str(folder / name))
    return folder


def test_pictures_change_no_number_of_a_run(trained):
    assert numbers(trained / "with") == numbers(trained / "without")
    states = [last_state(trained / name) for name in ("with", "without")]
    for path, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][path])


def test_pictures_come_when_they_are_due_and_are_the_model_s(trained):
    found = {}
    for step, value in shown(trained / "with"):
        if value.HasField("image"):
            found.setdefault(value.tag, {})[step] = value.image
    per_epoch = 32
    due = [2 * per_epoch, 4 * per_epoch, 5 * per_epoch]  # and at the end
    assert set(found) == {"validation/reconstructions", "validation/samples"}
    assert all(list(each) == due for each in found.values())
    run = vae.load(trained / "with")
    last = found["validation/reconstructions"][due[-1]]
    pixels = np.asarray(Image.open(io.BytesIO(last.encoded_image_string))) / 255
    assert pixels.shape == (16, 64)
    x = run.examples("validation", 8)
    np.testing.assert_array_equal(pixels[:8].reshape(8, 8, 8).swapaxes(0, 1), x[..., 0])
    if run.step == due[-1]:
        again = run.reconstruct(x)[..., 0]
        np.testing.assert_allclose(pixels[8:].reshape(8, 8, 8).swapaxes(0, 1), again, atol=0.01)
    assert not any(value.HasField("image") for _, value in shown(trained / "without"))


def test_nothing_is_decoded_where_no_pictures_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures.Pictures, "__call__", lambda *_: pytest.fail("was called"))
    vae.train(small_config(train__epochs=1), str(tmp_path / "run"))


def test_kl_per_latent_is_spread_as_the_validation_found_it(trained):
    found = [(s, v.histo) for s, v in shown(trained / "without") if v.HasField("histo")]
    rates = {r["step"]: r["rate"] for r in numbers(trained / "without") if r["split"] != "train"}
    assert [step for step, _ in found] == list(rates)
    for step, histogram in found:
        assert histogram.num == 3  # latents, whose KL sums to the rate
        assert histogram.sum == pytest.approx(rates[step], rel=1e-5)


def test_a_run_is_found_by_its_keys_and_judged_by_its_bound(trained):
    told = of_plugin(trained / "without")
    experiment = Experiment.FromString(told["experiment"].experiment.SerializeToString())
    kinds = {info.name: info.type for info in experiment.hparam_infos}
    assert kinds["objective.beta"] == DATA_TYPE_FLOAT64
    assert "validation/elbo" in [metric.name.tag for metric in experiment.metric_infos]
    values = told["session_start_info"].session_start_info.hparams
    assert values["model.latent_size"].number_value == 3
    assert values["model.likelihood"].string_value == "bernoulli"
    assert values["data.stream"].WhichOneof("kind") == "bool_value"
    assert told["session_end_info"].session_end_info.status == 1
    assert set(values) == set(kinds) == set(KEYS)


@pytest.mark.parametrize("shape", [(6, 5, 1), (6, 5, 3), (12,)])
def test_data_of_every_form_are_shown_or_left_out(shape, tmp_path):
    x = np.random.default_rng(0).random((80, *shape)).astype(np.float32)
    workdir = tmp_path / "run"
    vae.fit(x, workdir=workdir, latent_size=2, epochs=1, picture_epochs=1.0)
    found = {v.tag: v.image for _, v in shown(workdir) if v.HasField("image")}
    if len(shape) == 1:
        assert not found
        return
    seen = found["validation/samples"]
    assert (seen.height, seen.width, seen.colorspace) == (12, 40, shape[-1])


def test_trials_of_one_program_have_their_own(tmp_path):
    config = small_config(train__epochs=1, train__picture_epochs=1.0, train__batch_size=40)
    vae.sweep(config, sweep("model.latent_size", (2, 3)), workdir=str(tmp_path / "s"))
    for size in (2, 3):
        found = shown(tmp_path / "s" / "trials" / f"latent_size={size}")
        (spread,) = (v.histo for _, v in found if v.HasField("histo"))
        assert spread.num == size
        assert sum(v.HasField("image") for _, v in found) == 2


class Stub(ModuleType):
    """Weights & Biases, as far as a run uses it."""

    def __init__(self):
        super().__init__("wandb")
        self.logged, self.__spec__ = [], SimpleNamespace(name="wandb")

    def init(self, **options):
        self.options, self.finish = options, lambda: None
        return self

    def log(self, values, step):
        self.logged.append((step, values))

    def Histogram(self, values):  # noqa: N802
        return "histogram", values

    def Image(self, pixels):  # noqa: N802
        return "image", pixels


def test_wandb_gets_the_same(tmp_path, monkeypatch, trained):
    stub = Stub()
    monkeypatch.setitem(sys.modules, "wandb", stub)
    config = small_config(train__wandb="mine", train__picture_epochs=2.0, train__epochs=5)
    vae.train(config, str(tmp_path / "run"))
    assert stub.options["config"]["model"]["latent_size"] == 3
    assert numbers(tmp_path / "run") == numbers(trained / "with")
    board = [
        (step, v) for step, v in shown(trained / "with") if not v.tag.startswith("_hparams_")
    ]
    logged = [
        (step, tag, *value)
        for step, values in stub.logged
        for tag, value in values.items()
        if isinstance(value, tuple)
    ]
    assert [(step, v.tag) for step, v in board] == [(step, tag) for step, tag, *_ in logged]
    for (_, value), (_, _, kind, given) in zip(board, logged, strict=True):
        if kind == "histogram":
            assert value.histo.sum == pytest.approx(given.sum())
        else:
            assert (value.image.height, value.image.width) == given.shape[:2]


def test_what_wandb_refuses_is_said_in_two_lines(tmp_path, monkeypatch):
    def refuse(**_):
        raise RuntimeError("No API key\nand more")

    stub = Stub()
    stub.init = refuse
    monkeypatch.setitem(sys.modules, "wandb", stub)
    with pytest.raises(UserError, match="train.wandb=mine: No API key\nlog in") as found:
        vae.train(small_config(train__wandb="mine", train__epochs=1), str(tmp_path / "run"))
    assert len(str(found.value).splitlines()) == 2


def test_a_run_that_fails_says_so(tmp_path):
    with Writers(tmp_path, small_config()) as writers:
        writers.show(3, {"kl_per_latent": np.array([np.nan, np.inf])}, {})
        writers.failed = True
    assert of_plugin(tmp_path)["session_end_info"].session_end_info.status == 2
    assert not any(v.HasField("histo") for _, v in shown(tmp_path))
