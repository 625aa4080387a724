"""Folders with odd entries, too little memory, and others at work in the same places."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from PIL import Image

from odemom.data import folders
from odemom.data.images import load_images
from odemom.errors import InvalidInputError, NotEnoughMemoryError, OdemomWarning
from odemom.training import TrainingConfig
from tests.pictures import image_folder


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")])
@pytest.mark.parametrize("where", ["folders.decoded", "folders.np.load", "pictures.np.asarray"])
def test_images_for_which_there_is_no_memory_are_named(tmp_path, load, monkeypatch, where, error):
    def fails(*_, **__):
        raise error

    path = image_folder(tmp_path / "tints")
    monkeypatch.setattr(f"odemom.data.{where}", fails)
    with pytest.raises(NotEnoughMemoryError, match=r"images of '.*tints' were loaded .*image_size"):
        load(path)
    assert not list(tmp_path.rglob("*.tmp"))


def test_dark_images_of_16_bits_are_spoken_of(tmp_path, load):
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "dark" / label).mkdir(parents=True)
        for n in range(4):
            pixels = rng.integers(0, 4096, (8, 8), dtype=np.uint16)
            Image.fromarray(pixels).save(tmp_path / "dark" / label / f"{n}.png")
    with pytest.warns(OdemomWarning, match=r"16 bits in .*dark have no value above 4095 of 65535"):
        load(tmp_path / "dark")
    Image.fromarray(np.full((8, 8), 5000, np.uint16)).save(tmp_path / "dark" / "a" / "0.png")
    load(tmp_path / "dark")  # no warning


def test_a_link_that_leads_nowhere_is_named(tmp_path, load):
    path = image_folder(tmp_path / "tints")
    (path / "red" / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InvalidInputError, match=r"red/link\.png, which cannot be opened \(No such"):
        load(path)
    (path / "red" / "link.png").unlink()
    (path / "red" / "link.png").symlink_to(path / "red" / "link.png")
    with pytest.raises(InvalidInputError, match=r"red/link\.png, which cannot be opened \(Too man"):
        load(path)
    (path / "red" / "link.png").unlink()
    os.mkfifo(path / "red" / "pipe.png")
    (path / "red" / "folder.png").mkdir()
    assert len(load(path).test) == 8  # neither of them is read


def test_a_cache_that_is_tidied_by_another_process_is_made_again(tmp_path, load, monkeypatch):
    path = image_folder(tmp_path / "tints")
    expected = load(path).digest
    real, gone = np.load, []

    def raced(file, **options):
        if not gone:
            gone.append(file)
            os.unlink(file)
        return real(file, **options)

    monkeypatch.setattr(folders.np, "load", raced)
    assert load(path).digest == expected
    assert len(gone) == 1


def test_a_path_through_a_link_is_that_of_the_system(tmp_path, monkeypatch):
    image_folder(tmp_path / "pics", images=5)
    image_folder(tmp_path / "far" / "pics", images=9)
    (tmp_path / "far" / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "sub")
    monkeypatch.chdir(tmp_path)
    config = TrainingConfig(data="link/../pics", root="link/../cache", model="resnet20")
    assert load_images(config.data, root=config.root).source == "pics"
    assert os.path.samefile(config.data, tmp_path / "far" / "pics")
    assert (tmp_path / "far" / "cache").is_dir()


def test_an_archive_that_is_named_by_a_lone_word_is_to_be_unpacked(tmp_path, monkeypatch):
    (tmp_path / "pics.tar").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match="unpack an archive first, with tar xf"):
        TrainingConfig(data="pics.tar", model="resnet20")


def test_what_an_error_says_of_nested_folders_is_what_loads(tmp_path, load):
    for part in ("train", "testing"):
        image_folder(tmp_path / "data" / "outer" / part)
    with pytest.raises(InvalidInputError, match=r"testing without an image"):
        load(tmp_path / "data" / "outer")
    (tmp_path / "data" / "outer" / "testing").rename(tmp_path / "data" / "outer" / "test")
    assert len(load(tmp_path / "data" / "outer").test) == 40
    with pytest.raises(InvalidInputError, match=r"if they are meant, give .*/data/outer\."):
        load(tmp_path / "data")


@pytest.mark.parametrize(
    ("mode", "colour", "options"),
    [
        ("RGBA", (9, 9, 9, 0), {}),
        ("LA", (9, 254), {}),
        ("P", 3, {"transparency": 3}),
        ("RGB", (9, 9, 9), {"transparency": (9, 9, 9)}),
    ],
)
def test_transparent_places_are_spoken_of(tmp_path, load, mode, colour, options):
    path = image_folder(tmp_path / "tints")
    image = Image.new(mode, (8, 8), colour)
    if mode == "P":
        image.putpalette([level for level in range(8) for _ in range(3)])
    image.save(path / "red" / "clear.png", **options)
    message = r"1 image of 41 with transparent places, such as .*clear\.png\. Transparency is left"
    with pytest.warns(OdemomWarning, match=message):
        load(path)
    load(path)  # decoded before: said once


def test_opaque_images_with_a_channel_for_transparency_are_images(tmp_path, load):
    path = image_folder(tmp_path / "tints")
    Image.new("RGBA", (8, 8), (9, 9, 9, 255)).save(path / "red" / "opaque.png")
    assert load(path).channels == 3


@pytest.mark.parametrize("data", ["digits", "tints"])
def test_what_is_not_downloaded_is_refused(tmp_path, data):
    given = data if data == "digits" else str(image_folder(tmp_path / data))
    with pytest.raises(InvalidInputError, match=r"download: got it beside data .* or cifar100"):
        load_images(given, download=True)


def test_few_training_images_keep_a_validation_image_a_class(tmp_path, load):
    path = image_folder(tmp_path / "tints")
    for limit in (2, 3, 5, 20):
        few = load(path, limit=limit)
        assert len(few.train) == limit
        assert set(few.validation.labels.tolist()) == {0, 1}
    assert len(load(path, limit=3, validation=0.0).validation) == 0
