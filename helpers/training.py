"""One train / evaluate pair, and what stands around it: epochs, checkpoints, seeds.

Taught in "Six recipes for Fashion-MNIST", Recipe 4, where the pair is written out.
"""

import contextlib
import copy
import os
import pickle
import random
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm.auto import tqdm

_UNREADABLE = (  # what torch.load may raise for a file that is no checkpoint of ours
    OSError,
    RuntimeError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    pickle.UnpicklingError,
)


class TrainingDivergedError(ArithmeticError):
    """The loss is no longer a finite number; the message says what usually helps."""


class CheckpointError(RuntimeError):
    """A checkpoint is damaged, or belongs to another network or recipe."""


def pick_device() -> torch.device:
    """Return the accelerator of this machine (CUDA, MPS, ...), else the CPU.

    Taught in "Tensors", in the section on where a tensor lives.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")


def half_type(device: torch.device) -> torch.dtype:
    """Return the 16-bit type for ``fit(amp=...)``: bfloat16, float16 on an older GPU.

    Taught in "Six recipes for Fashion-MNIST", with mixed precision.
    """
    if device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16


def seed_everything(seed: int) -> None:
    """Seed the generators of PyTorch (on all devices), NumPy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global one is the one to fix
    random.seed(seed)


def train_epoch(
    model: nn.Module,
    loader: Iterable,
    loss_fn: Callable,
    optimizer: torch.optim.Optimizer,
    *,
    batch_scheduler=None,
    amp: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
) -> tuple[float, float]:
    """Train for one pass over the loader; return the mean loss and the accuracy.

    Both are means over samples, so that a short last batch counts for what it is; they
    are taken while the weights change and dropout is on. Taught in "Six recipes",
    Recipe 4.

    Args:
        model: gives logits (N, classes); the batches are moved to its device.
        loader: gives pairs of inputs and labels (N,).
        loss_fn: takes logits and labels, returns the mean over the batch.
        optimizer: holds the model's parameters.
        batch_scheduler: stepped after every batch (``OneCycleLR``).
        amp: ``torch.bfloat16`` or ``torch.float16`` for mixed precision.
        scaler: a gradient scaler, which ``torch.float16`` needs.
    """
    model.train()
    device = next(model.parameters()).device
    scaler = scaler or torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    total_loss, correct, count = 0.0, 0, 0
    for inputs, labels in loader:
        inputs, labels = _to(device, inputs, labels)
        with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
            logits = model(inputs)
            loss = loss_fn(logits, labels)
        optimizer.zero_grad()
        scale = scaler.get_scale()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        stepped = scaler.get_scale() >= scale  # an overflow of float16 skips the step
        if batch_scheduler is not None and stepped:
            batch_scheduler.step()
        # Sums stay on the device: .item() here would make a GPU wait at every batch.
        total_loss += loss.detach() * len(labels)
        correct += (logits.detach().argmax(dim=1) == labels).sum()
        count += len(labels)
    return _means(total_loss, correct, count)


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    loader: Iterable,
    loss_fn: Callable,
    *,
    amp: torch.dtype | None = None,
) -> tuple[float, float]:
    """Return the mean loss and the accuracy over the loader, dropout off.

    Arguments as for `train_epoch`. Taught in "Six recipes", Recipe 4.
    """
    model.eval()
    device = next(model.parameters()).device
    total_loss, correct, count = 0.0, 0, 0
    for inputs, labels in loader:
        inputs, labels = _to(device, inputs, labels)
        with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
            logits = model(inputs)
            loss = loss_fn(logits, labels)
        total_loss += loss * len(labels)
        correct += (logits.argmax(dim=1) == labels).sum()
        count += len(labels)
    return _means(total_loss, correct, count)


@dataclass
class History:
    """What `fit` saw: one row an epoch, and the weights of the best one.

    Attributes:
        rows: for each epoch ``epoch`` (from 1), ``train_loss``, ``train_accuracy`` and,
            where there was a validation loader, ``val_loss`` and ``val_accuracy``;
            accuracies from 0 to 1, ``seconds`` for the epoch.
        best_epoch: the epoch with the lowest validation loss, None without one.
        best_state: a copy of the model's ``state_dict`` at that epoch.
    """

    rows: list[dict] = field(default_factory=list)
    best_epoch: int | None = None
    best_state: dict | None = None

    def __getitem__(self, name: str) -> list[float]:
        """Return one column, for instance ``history["train_loss"]``."""
        return [row[name] for row in self.rows]

    @property
    def seconds(self) -> float:
        """Seconds over all epochs."""
        return sum(self["seconds"])

    def table(self) -> pd.DataFrame:
        """Return the rows as a table, one row an epoch."""
        return pd.DataFrame(self.rows).set_index("epoch")

    def plot(self):
        """Draw loss and accuracy against the epoch; return the figure."""
        from helpers.plotting import plot_history

        return plot_history(self)

    def _note_best(self, model: nn.Module) -> None:
        latest = self.rows[-1]
        if "val_accuracy" not in latest:
            return
        if latest["val_loss"] <= min(self["val_loss"]):
            self.best_epoch = latest["epoch"]
            # A copy: state_dict() alone refers to tensors that training keeps changing.
            self.best_state = copy.deepcopy(model.state_dict())


def fit(
    model: nn.Module,
    train_loader: Iterable,
    loss_fn: Callable,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    *,
    val_loader: Iterable | None = None,
    scheduler=None,
    scheduler_every: str = "epoch",
    amp: torch.dtype | None = None,
    checkpoint: Path | str | None = None,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
) -> History:
    """Train for some epochs and return the `History`.

    With ``checkpoint`` given, everything that the next epoch depends on is written
    there after each epoch, and a later call goes on from it: the weights come out as
    those of an uninterrupted run. That holds for randomness drawn from the global
    generators of PyTorch, NumPy and Python. The optimizer, its learning rate and the
    scheduler have to be those of the first call. Taught in "Six recipes", Recipe 4.

    Args:
        model: as for `train_epoch`, already on its device.
        train_loader: batches to learn from.
        loss_fn: as for `train_epoch`.
        optimizer: holds the model's parameters.
        epochs: passes over ``train_loader`` in all, those before a resume included.
        val_loader: batches to watch, once an epoch.
        scheduler: a learning-rate scheduler of ``torch.optim.lr_scheduler``.
        scheduler_every: step it each ``"epoch"`` or each ``"batch"``.
        amp: ``torch.bfloat16`` or ``torch.float16`` for mixed precision.
        checkpoint: a file; None keeps nothing.
        after_epoch: called with the epoch (from 1) and the model.

    Raises:
        TrainingDivergedError: the loss of an epoch is NaN or infinite.
        CheckpointError: the checkpoint is damaged or does not fit.
    """
    if scheduler_every not in ("epoch", "batch"):
        raise ValueError(f"scheduler_every is {scheduler_every!r}, not epoch or batch")
    by_batch = scheduler if scheduler_every == "batch" else None
    device = next(model.parameters()).device
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    history = History()
    parts = [model, optimizer, scaler] + ([scheduler] if scheduler is not None else [])
    recipe = _describe(optimizer, scheduler)
    if checkpoint is not None and Path(checkpoint).exists():
        _load_checkpoint(checkpoint, parts, history, recipe, epochs)
    start = len(history.rows) + 1
    for epoch in tqdm(range(start, epochs + 1), desc="epochs", leave=False):
        began = time.perf_counter()
        options = {"batch_scheduler": by_batch, "amp": amp, "scaler": scaler}
        row = {"epoch": epoch}
        row["train_loss"], row["train_accuracy"] = train_epoch(
            model, train_loader, loss_fn, optimizer, **options
        )
        _check_finite(row["train_loss"], epoch, optimizer, checkpoint)
        if val_loader is not None:
            row["val_loss"], row["val_accuracy"] = evaluate(
                model, val_loader, loss_fn, amp=amp
            )
        if scheduler is not None and by_batch is None:
            plateau = isinstance(scheduler, ReduceLROnPlateau)
            watched = (row.get("val_loss", row["train_loss"]),) if plateau else ()
            scheduler.step(*watched)
        history.rows.append(row | {"seconds": time.perf_counter() - began})
        history._note_best(model)
        if after_epoch is not None:  # before the checkpoint: it may draw random numbers
            after_epoch(epoch, model)
        if checkpoint is not None:
            _save_checkpoint(checkpoint, parts, history, recipe)
    return history


@dataclass
class Runs:
    """The scores of one recipe at several seeds."""

    scores: list[float]
    seconds: list[float]
    extras: list = field(default_factory=list)

    @property
    def n(self) -> int:
        """How many seeds."""
        return len(self.scores)

    @property
    def mean(self) -> float:
        """Mean score."""
        return statistics.fmean(self.scores)

    @property
    def sd(self) -> float:
        """Sample standard deviation, with n - 1; NaN for a single seed."""
        return statistics.stdev(self.scores) if self.n > 1 else float("nan")

    def percent(self) -> str:
        """Write scores from 0 to 1 as ``87.41 ± 0.20``, in percent."""
        return f"{100 * self.mean:.2f} ± {100 * self.sd:.2f}"


def over_seeds(recipe: Callable[[], object], seeds: Iterable[int]) -> Runs:
    """Run a recipe once for each seed and keep the scores.

    Taught in "Six recipes", Recipe 4.

    Args:
        recipe: builds, trains and tests; returns the score, or a pair of the score and
            anything else that is worth keeping.
        seeds: each is given to `seed_everything` before its run.

    Raises:
        ValueError: no seeds.
    """
    runs = Runs([], [])
    for seed in seeds:
        seed_everything(seed)
        began = time.perf_counter()
        result = recipe()
        score, extra = result if isinstance(result, tuple) else (result, None)
        runs.scores.append(float(score))
        runs.seconds.append(time.perf_counter() - began)
        runs.extras.append(extra)
    if not runs.scores:
        raise ValueError("over_seeds needs at least one seed")
    return runs


# --- private ------------------------------------------------------------------------


def _to(device, inputs, labels):
    return inputs.to(device), labels.to(device)  # nothing to do where they are there


def _means(total_loss, correct, count: int) -> tuple[float, float]:
    if count == 0:
        raise ValueError("the loader gave no batch: is its data set empty?")
    return float(total_loss) / count, float(correct) / count


def _check_finite(loss: float, epoch: int, optimizer, checkpoint) -> None:
    if np.isfinite(loss):
        return
    kept = f" The checkpoint {checkpoint} is from before." if checkpoint else ""
    raise TrainingDivergedError(
        f"The training loss of epoch {epoch} is {loss}. Usual causes: a learning rate "
        f"that is too large (it is {optimizer.param_groups[0]['lr']:g}), NaN in the "
        f"inputs, or a log or a division of zero in the loss.{kept}"
    )


def _accelerator() -> str | None:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator.type if accelerator else None


def _random_state() -> dict:
    generator, keys, *rest = np.random.get_state()  # noqa: NPY002
    state = {
        "torch": torch.get_rng_state(),
        "numpy": [generator, keys.tolist(), *rest],
        "python": random.getstate(),
    }
    if kind := _accelerator():
        state["accelerator"] = (kind, torch.get_device_module(kind).get_rng_state())
    return state


def _set_random_state(state: dict) -> None:
    torch.set_rng_state(state["torch"])
    generator, keys, *rest = state["numpy"]
    np.random.set_state((generator, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, numbers = state.get("accelerator", (None, None))
    if kind is not None and kind == _accelerator():
        torch.get_device_module(kind).set_rng_state(numbers)


def _describe(optimizer, scheduler) -> list:
    """Say what a resumed run must have in common with the one before."""
    rates = [group.get("initial_lr", group["lr"]) for group in optimizer.param_groups]
    length = getattr(scheduler, "total_steps", None)
    return [type(optimizer).__name__, rates, type(scheduler).__name__, length]


def _save_checkpoint(path, parts: list, history: History, recipe: list) -> None:
    """Write beside the old checkpoint, then replace it: a kill leaves one of them."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with beside.open("wb") as file:
            content = {
                "recipe": recipe,
                "parts": [part.state_dict() for part in parts],
                "history": vars(history),
                "random": _random_state(),
            }
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


def _load_checkpoint(path, parts, history: History, recipe, epochs: int) -> None:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        states, rows = content["parts"], content["history"]["rows"]
        saved, random_state = content["recipe"], content["random"]
    except PermissionError:
        raise  # it says itself what is wrong
    except _UNREADABLE as error:
        raise CheckpointError(
            f"The checkpoint {path} is damaged or is none of this book's ({error}). "
            "Delete it to start again."
        ) from error
    if len(rows) > epochs:
        raise CheckpointError(
            f"The checkpoint {path} is from epoch {len(rows)}, but only {epochs} "
            "epochs are wanted. Delete it, or name another file."
        )
    try:
        if saved != recipe:
            raise ValueError(f"it was saved with {saved}, and this run has {recipe}.")
        for part, state in zip(parts, states, strict=True):
            part.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"The checkpoint {path} does not fit this network and recipe: {error} "
            "Delete it, or name another file."
        ) from error
    for name, value in content["history"].items():
        setattr(history, name, value)
    _set_random_state(random_state)
    print(f"Going on from {Path(path).name}, after epoch {len(rows)} of {epochs}.")
