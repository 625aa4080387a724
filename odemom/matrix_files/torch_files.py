"""PyTorch's .pt: weights only, so that no program in a file is run."""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from typing import Any

from odemom.checks import as_array, optional_import, spacing_of
from odemom.matrix_files.choice import chosen
from odemom.matrix_files.registry import reads
from odemom.matrix_files.source import MOST_BYTES, Source

__all__ = ["read_pt"]

WHAT = ".pt file of tensors"


@reads(".pt", ".pth", kind="binary")
def read_pt(source: Source, exact: bool | None) -> Any:
    """A tensor, or the only matrix of a dictionary of tensors, such as the state of a layer."""
    del exact  # a .pt file holds no text
    torch = optional_import("torch", "torch")
    with source.read_elsewhere(WHAT):
        _require_size(source)
        try:
            loaded = torch.load(io.BytesIO(source.content), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            raise source.unreadable(
                "it holds more than tensors, which is not loaded from files; save the tensor, or "
                "module.state_dict()"
            ) from None
        if isinstance(loaded, torch.Tensor):
            tensors = {"the tensor": loaded}
        else:
            tensors = {
                str(name): value
                for name, value in (loaded.items() if isinstance(loaded, dict) else ())
                if isinstance(value, torch.Tensor)
            }
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    tensor = tensors[chosen(source, shapes)]
    source.require_entries(math.prod(tensor.shape))
    with source.read_elsewhere(WHAT):
        array = as_array(tensor, source.name, "a matrix of real numbers")
    # A type that NumPy lacks, such as bfloat16, stays a tensor: its spacing is the tolerance.
    return array if spacing_of(tensor) == spacing_of(array) else tensor.detach()


def _require_size(source: Source) -> None:
    stream = io.BytesIO(source.content)
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            if sum(info.file_size for info in archive.infolist()) > MOST_BYTES["binary"]:
                raise source.unreadable("what is compressed in it is too large")
