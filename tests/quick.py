"""Prepare every chapter for a quick run: `python -m tests.quick FOLDER`.

Each notebook gets the parameters below in a cell of its own, through papermill, and
keeps its stored outputs, so that nbval can run it and compare the cells that are tagged
``nbval-check-output``. The code is the published code; only the parameters differ.
"""

import sys
from pathlib import Path

import papermill

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"
PARAMETERS = {
    "01_tensors": {"big_rows": 64, "largest": 256},
    "02_linear_models": {"n_starts": 3},
    "03_layers": {"n_settings": 20, "n_networks": 4, "stand_in": True},
    "04_activations": {"n_seeds": 2, "depth_steps": 10, "dead_steps": 20},
    "05_losses": {"n_seeds": 2, "n_common": 1900, "pixel_steps": 40},
    "06_optimizers": {
        "n_train": 256,
        "n_validation": 128,
        "epochs": 1,
        "long_epochs": 6,
        "n_tuning_seeds": 1,
        "n_seeds": 2,
        "n_schedule_seeds": 2,
        "stand_in": True,
    },
    "07_mnist": {"epochs": 1, "n_seeds": 2, "stand_in": True},
    "08_fashion_mnist": {
        "epochs": 2,
        "long_epochs": 2,
        "cnn_epochs": 1,
        "n_seeds": 2,
        "n_long_seeds": 2,
        "stand_in": True,
    },
    "11_alexnet_vgg": {
        "n_proofs": 1,
        "train_limit": 256,
        "epochs": 1,
        "width": 4,
        "n_seeds": 2,
        "stand_in": True,
    },
    "13_resnet": {
        "deep": 2,
        "train_limit": 128,
        "epochs": 1,
        "n_seeds": 2,
        "n_variants": 1,
        "picture_size": 64,
        "surface_points": 3,
        "stand_in": True,
    },
    "09_why_convolutions": {
        "n_train": 256,
        "n_validation": 32,
        "epochs": 1,
        "tuning_epochs": 1,
        "n_seeds": 2,
        "n_probe": 64,
        "stand_in": True,
    },
    "10_lenet": {
        "n_seeds": 2,
        "digit_epochs": 1,
        "piece_limit": 256,
        "piece_epochs": 1,
        "old_epochs": 2,
        "n_old_seeds": 1,
        "new_epochs": 2,
        "stand_in": True,
    },
    "12_googlenet_inception": {
        "proof_size": 64,
        "train_limit": 192,
        "epochs": 1,
        "inverse_width": 16,
        "n_seeds": 2,
        "gradient_seeds": 1,
        "gradient_images": 2,
        "stand_in": True,
    },
    "14_densenet": {
        "growth": 4,
        "depth": 3,
        "train_limit": 256,
        "validation_limit": 128,
        "epochs": 1,
        "tuning_epochs": 1,
        "n_seeds": 2,
        "silence_count": 64,
        "n_variants": 1,
        "picture_size": 64,
        "memory_size": 64,
        "stand_in": True,
    },
    "15_grouped_wide": {
        "n_proofs": 1,
        "picture_size": 64,
        "train_limit": 128,
        "validation_limit": 100,
        "test_limit": 100,
        "epochs": 1,
        "n_seeds": 2,
        "timing_seconds": 0.001,
        "timing_size": 64,
        "stand_in": True,
    },
    "16_small_scaled": {
        "train_limit": 128,
        "validation_limit": 100,
        "epochs": 1,
        "tuning_epochs": 1,
        "n_seeds": 2,
        "n_variants": 1,
        "picture_size": 32,
        "stand_in": True,
    },
    "17_choosing": {
        "least_passes": 1,
        "seconds_each": 0.0,
        "largest_work": 5,
        "every": 9,
        "detector_steps": 3,
        "test_scenes": 4,
    },
    "18_photos": {"n_walks": 1, "largest": 1, "stand_in": True},
    "19_pretrained": {
        "stand_in": True,
        "photos_shown": 2,
        "patch": 112,
        "step": 56,
        "n_rebuilt": 1,
    },
    "20_cats_dogs": {
        "epochs": 3,
        "n_seeds": 2,
        "n_draws": 2,
        "tune_epochs": 1,
        "n_tune_seeds": 2,
        "stand_in": True,
        "alike": 1.1,
    },
    "21_ants_bees": {
        "side": 64,
        "epochs": 1,
        "scratch_side": 64,
        "scratch_epochs": 1,
        "n_seeds": 2,
        "n_draws": 3,
        "n_simulations": 50,
        "stand_in": True,
    },
}


def prepare(source: Path, target: Path, parameters: dict) -> None:
    """Write ``target``, the chapter with other parameters.

    Raises:
        ValueError: the chapter has no parameter of one of the names.
    """
    known = papermill.inspect_notebook(source)
    if unknown := set(parameters) - set(known):
        raise ValueError(f"{source.name} has no parameter {', '.join(sorted(unknown))}")
    papermill.execute_notebook(source, target, parameters, prepare_only=True)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(CHAPTERS.glob("*.ipynb")):
        prepare(source, folder / source.name, PARAMETERS[source.stem])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
