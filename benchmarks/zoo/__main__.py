"""Networks that people have, each as a momentum twin: accepted or refused, and whether it is right.

    python -m benchmarks.zoo [--only NAME ...] [--library NAME ...] [--quick] [--jobs N] [--out DIR]

Builds small networks of torchvision, timm and transformers from configurations, with random
weights, and tries the twin of each (`trial`). Prints a table and writes it as ``zoo.json`` and
``zoo.md``. Exit status 1 if a twin is wrong and does not say so.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks.zoo.run import entries, trials
from benchmarks.zoo.table import notes, summary, table, written

LIBRARIES = ("torchvision", "timm", "transformers")
QUICK = {
    "vgg", "resnet18", "mobilenet_v2", "efficientnet", "vit", "swin", "vit_tiny_patch16_224",
    "cait_xxs24_224", "convnext_atto", "tnt_s_legacy_patch16_224", "GPT2LMHeadModel",
    "LlamaForCausalLM", "BertModel", "T5ForConditionalGeneration", "ViTModel",
}  # fmt: skip
"""One network of each kind."""


def main() -> int:
    """Run the zoo."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="networks with these names")
    parser.add_argument("--library", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--quick", action="store_true", help="one network of each kind")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    options = parser.parse_args()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    wanted = set(options.only) if options.only else QUICK if options.quick else None
    chosen = [
        entry
        for library in options.library
        for entry in entries(library)
        if wanted is None or entry.name in wanted
    ]
    missing = set(options.only or ()) - {entry.name for entry in chosen}
    if missing or not chosen:
        parser.error(f"no network is called {', '.join(sorted(missing)) or 'so'}")
    start = time.perf_counter()
    done = []
    for trial in trials(chosen, options.jobs):
        done.append(trial)
        print(f"{trial.name}: {trial.verdict}, {trial.seconds:.1f} s", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - start
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table(done))
    console.print("\n".join(notes(done)))
    written(options.out, done, seconds)
    print(summary(done), f"{seconds:.0f} s", sep="\n")
    return int(any(trial.differences for trial in done))


if __name__ == "__main__":
    sys.exit(main())
