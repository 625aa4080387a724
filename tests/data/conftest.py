"""What the tests of image data have in common."""

from __future__ import annotations

import pytest

from odemom.data.images import load_images


@pytest.fixture
def load(tmp_path):
    """Load a folder, with a cache of its own."""
    return lambda path, **options: load_images(str(path), root=tmp_path / "cache", **options)
