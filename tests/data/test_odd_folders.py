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


@pytest.fixture
def load(tmp_path):
    """Load a folder, with a cache of its own."""
    return lambda path, **options: load_images(str(path), root=tmp_path / "cache", **options)


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")])
@pytest.mark.parametrize("where", ["folders.pixels_of", "folders.np.load", "pictures.np.asarray"])
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
