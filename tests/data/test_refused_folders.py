"""Folders of images that do not fit: by name, with what to do about them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

from odemom.errors import InvalidInputError, OdemomWarning
from tests.pictures import cached, image_folder


def one_class(path):
    return image_folder(path, classes=("only",))


def empty_class(path):
    (image_folder(path) / "green").mkdir()
    return path


def other_classes(path):
    image_folder(path / "train")
    image_folder(path / "test", classes=("blue", "green"))
    return path


def a_file(path):
    path.write_bytes(b"archive")
    return path


def nested(path):
    image_folder(path / "cars")
    image_folder(path / "dogs")
    return path


def with_testing(path):
    image_folder(path / "train")
    image_folder(path / "testing")
    return path


def wrapped(path):
    image_folder(path / "data" / "train")
    return path


def floating(path):
    Image.fromarray(np.ones((8, 8), np.float32)).save(image_folder(path) / "red" / "float.tiff")
    return path


def of_32_bits(path):
    pixels = np.full((8, 8), 70_000, np.int32)
    Image.fromarray(pixels).save(image_folder(path) / "red" / "deep.tiff")
    return path


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (one_class, "with 1 folder in it; expected at least two"),
        (empty_class, "the class .*green without an image"),
        (empty_class, r"Remove the empty folder\.$"),
        (nested, r"cars without an image.* It holds folders \('blue', \.\.\.\): put its images"),
        (
            with_testing,
            "call the folder of the test set test, val, valid or validation, not 'testing'",
        ),
        (wrapped, r"Those in it are \['train'\]: if they are meant, give .*/data/data"),
        (other_classes, r"test with the classes .*green.*expected those of .*train"),
        (a_file, "which is a file.*unpack an archive first"),
        (floating, r"float\.tiff of floating-point pixels"),
        (of_32_bits, r"deep\.tiff with pixels from 70000 to 70000; expected .*8 or 16 bits"),
        (lambda path: path, "which is not there"),
    ],
)
def test_folders_that_do_not_fit_are_refused(tmp_path, load, made, message):
    with pytest.raises(InvalidInputError, match=message):
        load(made(tmp_path / "data"))
    assert cached(tmp_path) == []


def test_folders_beside_train_and_test_are_named(tmp_path, load):
    for part in ("train", "test"):
        image_folder(tmp_path / "data" / part)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path / "data")
    image_folder(tmp_path / "data" / "extra")
    with pytest.warns(OdemomWarning, match=r"\['extra'\] beside .*train is not looked at"):
        load(tmp_path / "data")


def test_a_class_of_one_image_cannot_be_split(tmp_path, load):
    message = r"the class 'blue' with 1 image; expected at least 3, of which training and test and"
    with pytest.raises(InvalidInputError, match=message):
        load(image_folder(tmp_path / "lonely", images=1))
    message = r"'blue' with 1 image; expected at least 2, of which training and test get one each"
    with pytest.raises(InvalidInputError, match=message):
        load(tmp_path / "lonely", validation=0.0)
    image_folder(tmp_path / "twins", images=2)
    with pytest.raises(InvalidInputError, match=r"'blue' with 2 images; expected at least 3"):
        load(tmp_path / "twins")
    assert len(load(tmp_path / "twins", validation=0.0).test) == 2
    image_folder(tmp_path / "own" / "train", images=2)
    image_folder(tmp_path / "own" / "test", images=1)
    assert len(load(tmp_path / "own").validation) == 2
