"""One training step of the twin in the trainers that people use: plain against reversible."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from odemom.nn import transform, twin_report

TEXT = {
    "vocab_size": 99, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 8,
    "num_attention_heads": 3, "max_position_embeddings": 32,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
MODES = [False, True, "auto"]


def tokens(length: int = 10) -> Tensor:
    return torch.randint(3, 99, (4, length), generator=torch.Generator().manual_seed(0))


def images(size: int = 32) -> Tensor:
    return torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))


def gpt2(library: Any) -> tuple[nn.Module, dict[str, Tensor]]:
    config = library.GPT2Config(
        vocab_size=99,
        n_embd=24,
        n_layer=8,
        n_head=3,
        n_positions=32,
        bos_token_id=1,
        eos_token_id=2,
    )
    return library.GPT2LMHeadModel(config), {"input_ids": tokens(), "labels": tokens()}


def llama(library: Any) -> tuple[nn.Module, dict[str, Tensor]]:
    config = library.LlamaConfig(**TEXT, num_key_value_heads=1)
    return library.LlamaForCausalLM(config), {"input_ids": tokens(), "labels": tokens()}


def t5(library: Any) -> tuple[nn.Module, dict[str, Tensor]]:
    config = library.T5Config(
        vocab_size=99, d_model=24, d_kv=8, d_ff=32, num_layers=4, num_heads=3,
        decoder_start_token_id=0,
    )  # fmt: skip
    return (
        library.T5ForConditionalGeneration(config),
        {"input_ids": tokens(), "labels": tokens(7)},
    )


def vit(library: Any) -> tuple[nn.Module, dict[str, Tensor]]:
    config = library.ViTConfig(
        image_size=32, patch_size=8, hidden_size=24, intermediate_size=32, num_hidden_layers=8,
        num_attention_heads=3, num_labels=5,
    )  # fmt: skip
    labels = torch.tensor([0, 1, 2, 3])
    return (
        library.ViTForImageClassification(config),
        {"pixel_values": images(), "labels": labels},
    )


class Rows(torch.utils.data.Dataset):
    def __init__(self, columns: dict[str, Tensor]):
        self.columns = columns

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, n):
        return {name: column[n] for name, column in self.columns.items()}


def moved(model: nn.Module, before: list[Tensor]) -> list[Tensor]:
    return [p.detach() - b for p, b in zip(model.parameters(), before, strict=True)]


def difference(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest relative one; of steps that vanish (biases of keys), against all of them."""
    whole = torch.stack([b.norm() for b in expected]).norm()
    floored = [b.norm() + 1e-6 * whole for b in expected]
    pairs = zip(found, expected, floored, strict=True)
    return max(float((a - b).norm() / size) for a, b, size in pairs)


def trained_by_transformers(make: Any, mode: Any, folder: Any) -> tuple[list[Tensor], Any]:
    """What one step of transformers' Trainer moves; dropout stays on."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    torch.manual_seed(0)
    model, columns = make(transformers)
    twin = transform(model.double(), 0.9, reversible=mode)
    before = [p.detach().clone() for p in twin.parameters()]
    options = transformers.TrainingArguments(
        str(folder), max_steps=1, per_device_train_batch_size=4, use_cpu=True, report_to="none",
        save_strategy="no", disable_tqdm=True, optim="sgd", learning_rate=0.1, max_grad_norm=0.0,
        logging_strategy="no", seed=0, dataloader_pin_memory=False,
    )  # fmt: skip
    columns = {k: v.double() if v.is_floating_point() else v for k, v in columns.items()}
    transformers.Trainer(twin, options, train_dataset=Rows(columns)).train()
    return moved(twin, before), twin_report(twin)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fill no key-value cache")
@pytest.mark.parametrize("make", [gpt2, llama, t5, vit])
def test_a_step_of_the_trainer_of_transformers(make, tmp_path):
    expected, report = trained_by_transformers(make, False, tmp_path)
    assert [row.layers for row in report.rows] == ([4, 4] if make is t5 else [8])
    assert all(step.abs().max() > 0 for step in expected)
    for mode in (True, "auto"):
        found, report = trained_by_transformers(make, mode, tmp_path)
        # Norms and softmaxes compute in float32 whatever the dtype; ties may round either way.
        assert difference(found, expected) <= 1e-6
        assert [row.layers for row in report.rows] == ([4, 4] if make is t5 else [8])
        assert "plain" not in {row.mode for row in report.rows}


@pytest.mark.parametrize("make", [gpt2, t5])
def test_the_cache_that_transformers_fill_by_default_is_left_out_and_said(make):
    """A key-value cache would keep tensors of the forward pass."""
    model, columns = make(pytest.importorskip("transformers"))
    twin = transform(model, 0.9).train()
    with pytest.warns(UserWarning, match="fill no key-value cache"):
        twin(**columns).loss.backward()
    with warnings.catch_warnings():  # once is enough
        warnings.simplefilter("error", UserWarning)
        twin(**columns).loss.backward()


def trained_by_lightning(mode: Any) -> list[Tensor]:
    timm = pytest.importorskip("timm")
    lightning = pytest.importorskip("lightning")
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=24, depth=8, num_heads=3,
        num_classes=5, drop_rate=0.1, drop_path_rate=0.2,
    )  # fmt: skip

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = transform(model.double(), 0.9, reversible=mode)

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module = Classifier()
    before = [p.detach().clone() for p in module.parameters()]
    data = torch.utils.data.TensorDataset(images().double(), torch.tensor([0, 1, 2, 3]))
    trainer = lightning.Trainer(
        max_steps=1, accelerator="cpu", devices=1, precision="64-true", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, about the number of workers
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=4))
    assert [row.layers for row in twin_report(module).rows] == [8]
    return moved(module, before)


def trained_by_hand(mode: Any) -> list[Tensor]:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(32, 8, 8, 3, 24, 32, num_classes=5, dropout=0.1)
    nn.init.normal_(model.heads[-1].weight)
    twin = transform(model.double(), 0.9, reversible=mode).train()
    before = [p.detach().clone() for p in twin.parameters()]
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    torch.manual_seed(1)
    nn.functional.cross_entropy(twin(images().double()), torch.tensor([0, 1, 2, 3])).backward()
    optimizer.step()
    return moved(twin, before)


@pytest.mark.parametrize(
    "trained", [pytest.param(trained_by_lightning, marks=pytest.mark.slow), trained_by_hand]
)
def test_a_step_by_lightning_and_by_a_plain_loop(trained):
    expected = trained(False)
    assert max(step.abs().max() for step in expected) > 0
    for mode in (True, "auto"):
        assert difference(trained(mode), expected) <= 1e-10
