"""Batches: order, augmentation and shares of processes depend on seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from odemom.data.batches import Batches, EpochSampler, augmented, evaluated_at_once
from odemom.data.images import Images

CPU = torch.device("cpu")


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 255, (50, 3, 8, 8), dtype=np.uint8))
    return Images(pixels, torch.arange(50))


def batches(images, size=10, **options):
    return Batches(images, (100.0,) * 3, (50.0,) * 3, size, CPU, **options)


def test_an_epoch_holds_every_image_once_and_normalised(images):
    epoch = list(batches(images, seed=0))
    labels = torch.cat([y for _, y in epoch])
    assert sorted(labels.tolist()) == list(range(50))
    pixels = torch.cat([x for x, _ in epoch])
    assert torch.equal(pixels, (images.pixels[labels].float() - 100) / 50)


def test_the_last_incomplete_batch_is_left_out(images):
    assert [len(y) for _, y in batches(images, 20, seed=0)] == [20, 20]


@pytest.mark.parametrize("augment", ["none", "flip", "crop+flip"])
def test_processes_share_the_batches_of_one(images, augment):
    one = batches(images, 10, seed=3, augment=augment)
    two = [batches(images, 5, seed=3, augment=augment, rank=r, world=2) for r in (0, 1)]
    for each in (one, *two):
        each.batch_sampler.sampler.set_epoch(4)
    for (x, y), (x0, y0), (x1, y1) in zip(one, *two, strict=True):
        assert torch.equal(x, torch.cat([x0, x1]))
        assert torch.equal(y, torch.cat([y0, y1]))


def test_processes_evaluate_every_image_once_in_as_many_batches(images):
    shares = [list(batches(images, 8, rank=r, world=3)) for r in range(3)]
    assert {len(share) for share in shares} == {3}
    labels = torch.cat([y for share in shares for _, y in share])
    assert sorted(labels.tolist()) == list(range(50))


def test_a_pass_begins_after_the_batches_that_are_done(images):
    whole = batches(images, seed=1, augment="crop+flip")
    iterator = iter(whole)
    taken = [next(iterator) for _ in range(3)]
    assert len(taken) == 3
    state = whole.state_dict()
    rest = list(iterator)
    resumed = batches(images, seed=1, augment="crop+flip")
    resumed.load_state_dict(state)
    again = list(resumed)
    assert len(again) == 2
    assert all(torch.equal(a, b) for a, b in zip(rest[0], again[0], strict=True))
    assert resumed.state_dict() == {"batches": 0}  # the next epoch begins at its start
    assert len(list(resumed)) == 5


def test_epochs_differ_and_return():
    sampler = EpochSampler(20, seed=0)
    first, shifts = sampler.order(), sampler.shifts()
    sampler.set_epoch(1)
    assert (sampler.order() != first).any()
    assert any((a != b).any() for a, b in zip(sampler.shifts(), shifts, strict=True))
    sampler.set_epoch(0)
    assert (sampler.order() == first).all()


def test_crops_and_flips_are_those_of_each_image_by_itself(images):
    corners, flips = (torch.from_numpy(a) for a in EpochSampler(50, 0).shifts())
    assert corners.min() == 0
    assert corners.max() == 8
    found = augmented(images.pixels, corners, flips)
    for image, (row, column), flip, got in zip(
        images.pixels.numpy(), corners.tolist(), flips.tolist(), found.numpy(), strict=True
    ):
        padded = np.pad(image, ((0, 0), (4, 4), (4, 4)))
        crop = padded[:, row : row + 8, column : column + 8]
        assert np.array_equal(got, crop[..., ::-1] if flip else crop)


def test_channels_last_is_a_format_of_memory_only(images):
    plain, last = (next(iter(batches(images, seed=0, channels_last=b)))[0] for b in (False, True))
    assert torch.equal(plain, last)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_evaluation_needs_no_more_than_about_a_training_step():
    assert evaluated_at_once(32, 5000) == evaluated_at_once(8, 64) == 1000
    assert evaluated_at_once(32, 128) == 128
    assert evaluated_at_once(32, 10) == 64
    assert evaluated_at_once(224, 16) == 16
    assert evaluated_at_once(4096, 1) == 1
