import copy
import os
import random
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

from helpers import training
from helpers.data import ImageSet, make_loader
from helpers.training import (
    CheckpointError,
    TrainingDivergedError,
    evaluate,
    fit,
    over_seeds,
    seed_everything,
    train_epoch,
)


def small_set(n=70):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(256, (n, 1, 4, 4), dtype=torch.uint8, generator=generator)
    labels = (images.float().mean((1, 2, 3)) > 127).long()
    return ImageSet(images, labels, ["dark", "bright"], lambda x: x.float() / 255 - 0.5)


def small_net(p=0.3):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(p), nn.Linear(8, 2)
    )


def loader(shuffle=True):
    return make_loader(small_set(), 32, shuffle)


# --- one epoch ----------------------------------------------------------------------


def test_evaluate_equals_one_pass_over_the_whole_set():
    """The last batch has 6 images: a plain mean of batch means would differ."""
    images, model = small_set(), small_net()
    loss, accuracy = evaluate(model, loader(False), nn.CrossEntropyLoss())
    inputs, labels = images[list(range(70))]
    logits = model.eval()(inputs)
    expected = nn.functional.cross_entropy(logits, labels).item()
    assert loss == pytest.approx(expected, rel=1e-6)
    assert accuracy == (logits.argmax(1) == labels).sum().item() / 70
    plain = np.mean(
        [nn.functional.cross_entropy(model(x), y).item() for x, y in loader(False)]
    )
    assert abs(loss - plain) > 1e-5


def test_train_epoch_equals_a_loop_by_hand():
    seed_everything(0)
    model = small_net(0)
    twin = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss, _ = train_epoch(model, loader(False), nn.CrossEntropyLoss(), optimizer)
    buffers = [torch.zeros_like(p) for p in twin.parameters()]
    losses = []
    for inputs, labels in loader(False):
        value = nn.functional.cross_entropy(twin(inputs), labels)
        losses += [value.item()] * len(labels)
        gradients = torch.autograd.grad(value, list(twin.parameters()))
        with torch.no_grad():
            for p, b, g in zip(twin.parameters(), buffers, gradients, strict=True):
                b.mul_(0.9).add_(g)
                p.sub_(0.1 * b)
    assert loss == pytest.approx(np.mean(losses), rel=1e-6)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_modes_are_set():
    model = small_net()
    train_epoch(
        model, loader(), nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters())
    )
    assert model.training
    evaluate(model, loader(), nn.CrossEntropyLoss())
    assert not model.training


@pytest.mark.parametrize("amp", [torch.bfloat16, torch.float16])
def test_mixed_precision_runs_in_that_precision(amp):
    seed_everything(0)
    seen = []
    model = small_net(0)
    model[1].register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    history = fit(model, loader(), nn.CrossEntropyLoss(), optimizer, 9, amp=amp)
    assert set(seen) == {amp}
    assert model[1].weight.dtype == torch.float32
    assert history["train_loss"][-1] < history["train_loss"][0] - 0.05


def test_an_empty_loader_is_an_error():
    with pytest.raises(ValueError, match="gave no batch"):
        evaluate(small_net(), [], nn.CrossEntropyLoss())


def test_nan_stops_with_a_clear_error(tmp_path):
    images = small_set()
    images.transform = lambda x: x.float() * float("nan")
    model = small_net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.125)
    path = tmp_path / "run.pt"
    with pytest.raises(TrainingDivergedError, match=r"epoch 1 is nan.*0\.125"):
        fit(
            model,
            make_loader(images, 32),
            nn.CrossEntropyLoss(),
            optimizer,
            3,
            checkpoint=path,
        )
    assert not path.exists()


# --- epochs and checkpoints ---------------------------------------------------------


def recipe(epochs, checkpoint=None, seed=0, total=6, **options):
    """Everything random that the book uses: start, order, dropout, one-cycle."""
    seed_everything(seed)
    model, batches = small_net(), loader()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.05, total_steps=total * len(batches)
    )
    history = fit(
        model,
        batches,
        nn.CrossEntropyLoss(),
        optimizer,
        epochs,
        val_loader=loader(False),
        scheduler=scheduler,
        scheduler_every="batch",
        checkpoint=checkpoint,
        **options,
    )
    return model, history


def assert_same(run, other):
    for a, b in zip(run[0].parameters(), other[0].parameters(), strict=True):
        assert torch.equal(a, b)
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        assert run[1][name] == other[1][name]
    assert run[1].best_epoch == other[1].best_epoch
    for name, value in run[1].best_state.items():
        assert torch.equal(value, other[1].best_state[name])


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_resumed_run_equals_an_uninterrupted_one(tmp_path, stop, capsys):
    recipe(stop, tmp_path / "run.pt")
    resumed = recipe(6, tmp_path / "run.pt", seed=99)  # the seed no longer matters
    assert f"after epoch {stop} of 6" in capsys.readouterr().out
    assert_same(recipe(6), resumed)


def test_random_state_of_numpy_and_python_is_resumed(tmp_path):
    recipe(2, tmp_path / "run.pt")
    expected = np.random.rand(), random.random()  # noqa: NPY002
    recipe(2, tmp_path / "run.pt", seed=99)
    assert (np.random.rand(), random.random()) == expected  # noqa: NPY002


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = recipe(2, tmp_path / "run.pt")
    assert_same(first, recipe(2, tmp_path / "run.pt"))


KILLED = """
import os, signal, sys, torch
from tests.test_training import recipe
save, calls = torch.save, []
def dying_save(content, file):
    calls.append(1)
    if len(calls) == 3:  # in the middle of writing the third checkpoint
        file.write(b"half a checkpoint")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(content, file)
torch.save = dying_save
recipe(6, sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
def test_kill_9_while_writing_a_checkpoint_loses_one_epoch(tmp_path):
    path = tmp_path / "run.pt"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    root = os.path.dirname(os.path.dirname(__file__))
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    content = torch.load(path, weights_only=True)
    assert len(content["history"]["rows"]) == 2
    assert_same(recipe(6), recipe(6, path, seed=99))


def test_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    recipe(1, path)
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(training.torch, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        recipe(2, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", "truncated", "foreign", "list", "tensor"]
)
def test_damaged_checkpoint_says_so(tmp_path, content):
    path = tmp_path / "run.pt"
    recipe(1, path)
    if content == "truncated":
        content = path.read_bytes()[:-200]
    foreign = {"foreign": {"some": "thing"}, "list": [1], "tensor": torch.ones(2)}
    if content in foreign:
        torch.save(foreign[content], path)
    else:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged or is none of this book's"):
        recipe(2, path)


def test_checkpoint_of_another_network_or_recipe_says_so(tmp_path):
    path = tmp_path / "run.pt"
    recipe(2, path)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    arguments = model, loader(), nn.CrossEntropyLoss(), optimizer
    with pytest.raises(CheckpointError, match=r"does not fit.*OneCycleLR"):
        fit(*arguments, 3, checkpoint=path)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=18)
    with pytest.raises(CheckpointError, match=r"does not fit.*state_dict"):
        fit(*arguments, 3, checkpoint=path, scheduler=scheduler)
    with pytest.raises(CheckpointError, match=r"does not fit.*18.*24"):
        recipe(3, path, total=8)  # one-cycle over another number of steps
    with pytest.raises(CheckpointError, match="is from epoch 2, but only 1 epoch"):
        recipe(1, path)


def test_schedulers_step_when_they_should():
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    arguments = model, loader(), nn.CrossEntropyLoss(), optimizer
    fit(*arguments, 2, scheduler=scheduler)
    assert optimizer.param_groups[0]["lr"] == 0.5**2
    fit(*arguments, 2, scheduler=scheduler, scheduler_every="batch")
    assert optimizer.param_groups[0]["lr"] == 0.5**8  # three batches an epoch
    with pytest.raises(ValueError, match="not epoch or batch"):
        fit(*arguments, 2, scheduler=scheduler, scheduler_every="step")


def test_watching_a_validation_set_does_not_change_the_training():
    def run(val_loader):
        seed_everything(0)
        model = small_net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        fit(model, loader(), nn.CrossEntropyLoss(), optimizer, 2, val_loader=val_loader)
        return model.state_dict()

    torch.testing.assert_close(run(None), run(loader(False)), rtol=0, atol=0)


def test_random_numbers_drawn_after_an_epoch_are_resumed(tmp_path):
    def draw(_epoch, _model):
        torch.rand(7)

    recipe(2, tmp_path / "run.pt", after_epoch=draw)
    resumed = recipe(4, tmp_path / "run.pt", seed=99, after_epoch=draw)
    assert_same(recipe(4, after_epoch=draw), resumed)


def test_a_scheduler_that_watches_the_loss():
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)  # nothing will improve
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=0, threshold=0.5, eps=0
    )
    fit(model, loader(), nn.CrossEntropyLoss(), optimizer, 3, scheduler=scheduler)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-9 * 0.5**2)


@pytest.mark.filterwarnings("error")
def test_a_step_that_float16_skips_does_not_move_the_schedule():
    model = small_net(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=99)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)  # overflows at once
    train_epoch(
        model,
        loader(),
        nn.CrossEntropyLoss(),
        optimizer,
        batch_scheduler=scheduler,
        amp=torch.float16,
        scaler=scaler,
    )
    assert scheduler.last_epoch == 0


def test_best_weights_are_those_of_the_best_epoch_and_a_copy():
    states = {}
    model, history = recipe(
        6, after_epoch=lambda e, m: states.update({e: copy.deepcopy(m.state_dict())})
    )
    best = min(history.rows, key=lambda row: row["val_loss"])
    assert history.best_epoch == best["epoch"]
    for name, value in history.best_state.items():
        assert torch.equal(value, states[best["epoch"]][name])
        assert value.data_ptr() != model.state_dict()[name].data_ptr()


def test_history_is_a_table_and_a_figure():
    _, history = recipe(3)
    assert list(history.table().index) == [1, 2, 3]
    assert history.seconds > 0
    figure = history.plot()
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "accuracy"]
    lines = figure.axes[0].get_lines()
    assert lines[1].get_ydata().tolist() == history["val_loss"]


# --- seeds --------------------------------------------------------------------------


def test_over_seeds_is_reproducible_and_counts_right():
    def throw():
        return torch.rand(()).item() + np.random.rand() + random.random(), "extra"  # noqa: NPY002

    runs = over_seeds(throw, range(4))
    assert runs.scores == over_seeds(throw, range(4)).scores
    assert len(set(runs.scores)) == 4
    assert runs.mean == pytest.approx(np.mean(runs.scores))
    assert runs.sd == pytest.approx(np.std(runs.scores, ddof=1))
    assert runs.extras == ["extra"] * 4


def test_percent_and_edge_cases():
    runs = training.Runs([0.87, 0.88], [1.0, 1.0])
    assert runs.percent() == "87.50 ± 0.71"
    assert np.isnan(training.Runs([0.5], [1.0]).sd)
    with pytest.raises(ValueError, match="at least one seed"):
        over_seeds(lambda: 1.0, [])


def test_half_type_follows_the_device(monkeypatch):
    cuda = torch.device("cuda")
    assert training.half_type(torch.device("cpu")) == torch.bfloat16
    for supported, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation, s=supported: s
        )
        assert training.half_type(cuda) == expected
