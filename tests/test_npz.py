"""NumPy's files: what is damaged or lies about its size is refused before room is made for it."""

import io
import zipfile

import numpy as np
import pytest

from vae import npz
from vae.errors import UserError

HUGE = (2**45,)


def declaring(shape, follow=b"\0" * 64, descr="<f8"):
    """The bytes of an .npy whose header declares a shape."""
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(file, header)
    return file.getvalue() + follow


def lying(path, compression):
    """An .npz with a member that declares more than it holds; as such it is no damaged archive."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", declaring(HUGE))
    return path


@pytest.mark.parametrize("shape", [HUGE, (2**62, 2**62), (9,)])
def test_an_array_that_declares_more_than_follows_is_refused(tmp_path, shape):
    path = tmp_path / "x.npy"
    path.write_bytes(declaring(shape))
    with pytest.raises(ValueError, match="declares"):
        npz.opened(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_that_declares_more_than_it_holds_is_refused(tmp_path, compression):
    with pytest.raises(ValueError, match="declares"):
        npz.read(lying(tmp_path / "x.npz", compression))


def test_a_member_said_to_be_larger_than_it_can_be_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", declaring((8,)))
        size = archive.getinfo("x.npy").file_size
    said = path.read_bytes().replace(size.to_bytes(4, "little"), (2**31).to_bytes(4, "little"))
    path.write_bytes(said)
    with pytest.raises(ValueError, match="larger than it can be"):
        npz.read(path)


@pytest.mark.parametrize(
    "array",
    [np.zeros((3, 0)), np.arange(5), np.float32(2.0), np.array(["a", "bc"]), np.ones((2, 3, 4))],
)
def test_what_numpy_wrote_is_read(tmp_path, array):
    np.save(tmp_path / "one.npy", array)
    np.savez(tmp_path / "plain.npz", x=array)
    npz.write(tmp_path / "packed.npz", {"x": array})
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(npz.read(path)["x"], array)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("damage", ["empty", "half", "text", "missing", "objects"])
def test_damage_is_one_of_the_errors_that_callers_expect(tmp_path, name, damage):
    path = tmp_path / name
    if name == "x.npy":
        np.save(path, np.arange(1000), allow_pickle=True)
    else:
        np.savez(path, x=np.arange(1000))
    whole = path.read_bytes()
    if damage == "objects":
        objects = np.array([{}, []], dtype=object)
        np.save(path, objects) if name == "x.npy" else np.savez(path, x=objects)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": whole[:600], "text": b"a,b\n1,2\n"}[damage])
    with pytest.raises(npz.NOT_ARRAYS):
        npz.read(path)


def test_an_array_written_in_parts_is_the_whole_one(tmp_path):
    whole = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    parts = iter([whole[:4], whole[4:]])
    npz.write_in_parts(tmp_path / "x.npz", "mean", (10, 3), parts, seed=7, sampler="prior")
    found = npz.read(tmp_path / "x.npz")
    np.testing.assert_array_equal(found["mean"], whole)
    assert (found["seed"], found["sampler"]) == (7, "prior")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_what_fits_no_disk_is_refused_before_it_is_made(tmp_path):
    def parts():
        raise AssertionError("a part was made")
        yield

    with pytest.raises(UserError, match=r"takes up to .* GiB .* ask for fewer"):
        npz.write_in_parts(tmp_path / "x.npz", "mean", (2**45, 2**10), parts())
    assert not list(tmp_path.iterdir())
