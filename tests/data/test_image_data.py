"""Images from folders, CIFAR and scikit-learn: splits, decoding, the cache, what is refused."""

from __future__ import annotations

import hashlib
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from odemom.data import folders
from odemom.data.images import load_images
from odemom.errors import InvalidInputError
from tests.pictures import cached, image_folder, tinted

# --- folders -----------------------------------------------------------------------------------


def test_a_folder_of_classes_is_split_and_normalised(tmp_path, load):
    data = load(image_folder(tmp_path / "tints", images=20))
    assert data.classes == ("blue", "red")
    assert data.source == "tints"
    sizes = [len(s) for s in (data.train, data.validation, data.test)]
    assert sizes == [28, 4, 8]
    assert all(s.labels.bincount().tolist()[0] * 2 == len(s) for s in (data.train, data.test))
    assert data.train.pixels.shape == (28, 3, 8, 8)
    pixels = data.train.pixels.double()
    mean, std = (torch.tensor(each)[:, None, None] for each in (data.mean, data.std))
    scaled = (pixels - mean) / std
    assert scaled.mean(dim=(0, 2, 3)).abs().max() < 1e-6
    assert (scaled.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-6


def test_train_and_test_folders_are_taken_as_they_are(tmp_path, load):
    image_folder(tmp_path / "set" / "train", images=10)
    image_folder(tmp_path / "set" / "test", images=3, seed=1)
    data = load(f"imagefolder:{tmp_path / 'set'}")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [18, 2, 6]
    first = np.asarray(Image.open(tmp_path / "set" / "test" / "blue" / "000.png"))
    assert np.array_equal(data.test.pixels[0].permute(1, 2, 0).numpy(), first)
    image_folder(tmp_path / "set" / "val", images=4, seed=2)
    assert len(load(tmp_path / "set").validation) == 8


def test_the_splits_depend_on_the_seed_alone_and_hold_every_image_once(tmp_path, load):
    path = image_folder(tmp_path / "tints")
    one, same, other = (load(path, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.test.pixels, same.test.pixels)
    assert not torch.equal(one.test.pixels, other.test.pixels)
    everything = torch.cat([s.pixels for s in (one.train, one.validation, one.test)])
    assert len(everything.flatten(1).unique(dim=0)) == len(everything) == 40
    assert one.digest == same.digest != other.digest


def test_limit_keeps_the_shares_of_the_classes_and_the_test_set(tmp_path, load):
    path = image_folder(tmp_path / "tints", images=50)
    data = load(path, limit=20)
    assert data.train.labels.bincount().tolist() == [10, 10]
    assert (len(data.validation), len(data.test)) == (2, 20)
    with pytest.raises(InvalidInputError, match=r"limit: got 73; expected from 2.*to 72"):
        load(path, limit=73)


def test_images_are_decoded_once_until_a_file_changes(tmp_path, load, monkeypatch):
    path = image_folder(tmp_path / "tints")
    load(path)
    (one,) = cached(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(folders, "decoded", None)  # not called again
        load(path)
    tinted(np.random.default_rng(5), 0, (8, 8)).save(path / "red" / "000.png")
    folder = tmp_path / "cache" / "folders"
    beside, own = (folder / f".{one}.{n}1234567.tmp" for n in (0, 1)), folder / "notes.tmp"
    fresh, stale = beside
    for file in (fresh, stale, own):
        file.touch()
    for file in (stale, own):
        os.utime(file, (0, 0))
    image_folder(tmp_path / "other" / "tints")
    load(tmp_path / "other" / "tints")
    load(path, image_size=4)
    load(path)
    kept = cached(tmp_path)
    assert one not in kept  # what the folder is no more
    # the folder now, in two sizes; another of its name; what is being written
    assert len(kept) == 5
    assert {fresh.name, "notes.tmp"} < set(kept)


def test_files_that_were_exchanged_with_their_times_are_decoded_again(tmp_path, load):
    def bmp(path, colour):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), colour).save(path)
        os.utime(path, ns=(1, 1))

    for place, colours in (("one", ("red", "blue")), ("two", ("blue", "red"))):
        for name, colour in zip("ab", colours, strict=True):
            for n in range(20):
                bmp(tmp_path / place / "tints" / name / f"{n}.bmp", colour)
    one, two = (load(tmp_path / place / "tints") for place in ("one", "two"))
    for data, colour in ((one, (255, 0, 0)), (two, (0, 0, 255))):
        of_a = data.train.pixels[data.train.labels == 0][:, :, 0, 0]
        assert {tuple(pixel) for pixel in of_a.tolist()} == {colour}
    a, b = tmp_path / "one" / "tints" / "a", tmp_path / "one" / "tints" / "b"
    for n in range(20):
        (a / f"{n}.bmp").rename(a / "aside")
        (b / f"{n}.bmp").rename(a / f"{n}.bmp")
        (a / "aside").rename(b / f"{n}.bmp")
    again = load(tmp_path / "one" / "tints")
    assert torch.equal(again.train.pixels, two.train.pixels)


def test_train_alone_is_split_as_a_folder_is(tmp_path, load):
    image_folder(tmp_path / "set" / "train", images=20)
    data = load(tmp_path / "set")
    assert data.classes == ("blue", "red")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [28, 4, 8]


def test_sets_share_the_array_on_disk_and_are_looked_at_in_portions(tmp_path, load, monkeypatch):
    path = image_folder(tmp_path / "tints", images=30)
    data = load(path, limit=20)
    sets = (data.train, data.validation, data.test)
    assert len({images.stored.data_ptr() for images in sets}) == 1
    assert data.train.shape == tuple(data.train.pixels.shape) == (20, 3, 8, 8)
    assert data.train.nbytes == data.train.pixels.nbytes
    some = torch.tensor([3, 0, 3])
    assert torch.equal(data.train.at(some), data.train.pixels[some])
    part = data.train.subset(np.array([5, 1]))
    assert torch.equal(part.pixels, data.train.pixels[[5, 1]])
    assert torch.equal(part.labels, data.train.labels[[5, 1]])
    pixels = data.train.pixels.double()
    assert data.mean == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist(), rel=1e-14)
    assert data.std == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist(), rel=1e-13)
    monkeypatch.setattr("odemom.data.images.PORTION", 400)  # two images
    again = load(path, limit=20)
    assert [len(p) for p in data.train.portions(3)] == [2, 2, 2, 1]
    assert (again.mean, again.std, again.digest) == (data.mean, data.std, data.digest)


@pytest.mark.parametrize("which", ["train", "validation", "test"])
def test_the_digest_sees_every_image(tmp_path, load, which):
    data = load(image_folder(tmp_path / "tints", images=60))
    before = data.digest
    images = getattr(data, which)
    images.stored[images.rows[-1], 0, 0, 0] ^= 1
    assert data.digest != before


def test_odd_sizes_are_scaled_and_cropped(tmp_path, load):
    path = image_folder(tmp_path / "tints", size=40)
    assert load(path).image_size == 40  # all have it
    tinted(np.random.default_rng(0), 1, (90, 50)).save(path / "red" / "wide.png")
    assert load(path).image_size == 32
    assert load(path, image_size=12).image_size == 12


def test_a_wide_image_keeps_its_centre(tmp_path):
    from odemom.data.pictures import decoded

    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (decoded(str(tmp_path / "wide.png"), 10, grey=False)[0] == 200).all()


def save_grey(path, bits):
    values = np.arange(64).reshape(8, 8) * (1000 if bits == 16 else 4)
    Image.fromarray(values.astype(np.uint16 if bits == 16 else np.uint8)).save(path)
    return values >> 8 if bits == 16 else values


@pytest.mark.parametrize("bits", [8, 16])
def test_a_grey_image_among_colours_becomes_one_and_grey_alone_stays_grey(tmp_path, load, bits):
    path = image_folder(tmp_path / "tints", images=3)
    image_folder(tmp_path / "grey", images=0)
    for folder in (path, tmp_path / "grey"):
        for name in ("blue", "red"):
            for i in range(3):
                save_grey(folder / name / f"grey{i}.png", bits)
    assert load(path).channels == 3
    grey = load(tmp_path / "grey")
    assert grey.channels == 1
    values = save_grey(tmp_path / "once.png", bits)
    assert np.array_equal(grey.train.pixels[0, 0].numpy(), values)


def test_transparent_and_palette_images_become_colours(tmp_path, load):
    path = image_folder(tmp_path / "tints")
    image = tinted(np.random.default_rng(0), 0, (8, 8))
    image.convert("RGBA").save(path / "red" / "a.png")
    image.convert("P").save(path / "red" / "b.gif")
    assert len(load(path).train) == 30


def test_cifar_exported_to_files_is_called_what_it_is(tmp_path, load):
    path = image_folder(tmp_path / "exported", folders.CIFAR_CLASSES, images=4, size=32)
    assert load(path).source == "CIFAR-10 (PNG)"


# --- what is refused ---------------------------------------------------------------------------


def test_a_damaged_image_is_named_and_nothing_is_kept(tmp_path, load):
    path = image_folder(tmp_path / "tints", images=4, size=64)
    bad = path / "red" / "002.png"
    content = bad.read_bytes()
    for damage in (b"", b"no image", content[: len(content) // 2]):
        bad.write_bytes(damage)
        with pytest.raises(InvalidInputError, match=r"the image .*red/002\.png, which cannot be"):
            load(path)
        assert cached(tmp_path) == []


def test_a_full_disk_is_named_and_nothing_is_kept(tmp_path, load, monkeypatch):
    path = image_folder(tmp_path / "tints", images=4)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.os, "replace", full)
    with pytest.raises(InvalidInputError, match=r"root: got .*No space left"):
        load(path)
    assert cached(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "digits", "image_size": 3}, "image_size: got 3 beside data 'digits'"),
        ({"data": "digits", "seed": -1}, "seed: got -1"),
        ({"data": "digits", "validation": 1.0}, "validation: got 1.0"),
        (
            {"data": "mnist"},
            "data: got 'mnist', and there is no folder '/.*/mnist'",
        ),
        ({"data": 3}, "data: got 3"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(InvalidInputError, match=message):
        load_images(**options)


# --- CIFAR -------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True])
def test_missing_cifar_says_where_it_was_looked_for_and_how_to_get_it(tmp_path, there):
    if there:
        (tmp_path / "cifar-10-batches-py").mkdir()
        (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cut")
    state = "damaged" if there else "not there"
    with pytest.raises(InvalidInputError) as caught:
        load_images("cifar10", root=tmp_path)
    for words in (str(tmp_path / "cifar-10-batches-py"), state, "--download", "https://"):
        assert words in str(caught.value)
    assert f"odemom train --data cifar10 --root {tmp_path} --download" in str(caught.value)


@pytest.mark.parametrize("whole", [False, True])
def test_an_archive_of_cifar_is_named_and_what_it_is_worth(tmp_path, monkeypatch, whole):
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(b"cut")
    if whole:
        monkeypatch.setattr("torchvision.datasets.CIFAR10.tgz_md5", hashlib.md5(b"cut").hexdigest())
    with pytest.raises(InvalidInputError) as caught:
        load_images("cifar10", root=tmp_path)
    said = f"not there, beside the archive {archive}" + ("; " if whole else ", which is damaged; ")
    assert said in str(caught.value)


def test_cifar_is_split_for_validation(tmp_path, monkeypatch):
    import torchvision

    def dataset(root, train, download):
        rng = np.random.default_rng(train)
        n = 200 if train else 20
        return SimpleNamespace(
            data=rng.integers(0, 255, (n, 32, 32, 3), dtype=np.uint8),
            targets=list(np.arange(n) % 10),
            classes=list(folders.CIFAR_CLASSES),
        )

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", dataset)
    data = load_images("cifar10", root=tmp_path)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [180, 20, 20]
    assert (data.source, data.channels, data.image_size) == ("CIFAR-10", 3, 32)
    assert data.test.pixels[0, 1, 2, 3] == dataset("", False, False).data[0, 2, 3, 1]


@pytest.mark.parametrize(
    ("variable", "below"), [("XDG_CACHE_HOME", "odemom/folders"), ("ODEMOM_CACHE", "folders")]
)
def test_the_cache_lies_where_the_user_keeps_caches(tmp_path, monkeypatch, variable, below):
    monkeypatch.delenv("ODEMOM_CACHE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    load_images(str(image_folder(tmp_path / "tints", images=4)))
    assert os.listdir(tmp_path / "cache" / below)
