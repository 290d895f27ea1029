"""What stops the loop: a loss that is no number, a full disk, too many processes; and its clock."""

import math
import resource
from dataclasses import dataclass, replace
from itertools import chain
from types import SimpleNamespace

import pytest

import tiny_whisper
from affekt.batches import ArrayBatches
from affekt.exceptions import CheckpointError, TrainingError
from affekt.objectives import SoftLabels
from affekt.train import check_processes, train
from toy_training import CONSTANT, N, assert_same_weights, head, stop_at, toy, wobbly

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def test_seconds_of_all_runs_add_up_and_the_time_between_does_not_count(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=500.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("affekt.train.time", clock)

    @dataclass(frozen=True)
    class Slow(SoftLabels):
        def __call__(self, *asked):
            clock.now += 10.0
            return super().__call__(*asked)

    state, options = tmp_path / "state.safetensors", replace(CONSTANT, save_every=3)
    assert train(head(), toy(), options, Slow()).seconds == 200.0
    with pytest.raises(KeyboardInterrupt):
        train(
            head(), toy(), options, Slow(), state=state, on_step=stop_at(8, KeyboardInterrupt)
        )  # fmt: skip
    clock.now += 10_000.0
    assert train(head(), toy(), options, Slow(), state=state).seconds == 200.0
    clock.now += 10_000.0
    assert train(head(), toy(), options, Slow(), state=state).seconds == 200.0


@dataclass(frozen=True)
class Poisoned:
    """From an epoch on, one row is not a number."""

    whole: ArrayBatches
    row: int
    epoch_: int

    def __len__(self):
        return len(self.whole)

    def epoch(self, epoch):
        for batch in self.whole.epoch(epoch):
            spoilt = (batch.rows == self.row) & (epoch >= self.epoch_)
            yield replace(batch, x=batch.x.masked_fill(spoilt[:, None, None], math.nan))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_no_number_names_epoch_batch_and_utterances(tmp_path, accumulate):
    options, state = replace(CONSTANT, accumulate=accumulate), tmp_path / "state.safetensors"
    batches = [batch.rows.tolist() for batch in toy().epoch(2)]
    groups = [list(chain(*batches[k : k + accumulate])) for k in range(0, N, accumulate)]
    number = next(k for k, rows in enumerate(groups) if 11 in rows)
    assert number > 0  # else the state before it would be of another epoch
    with pytest.raises(TrainingError) as caught:
        train(wobbly(), Poisoned(toy(), 11, 2), options, SoftLabels(), state=state)
    more = " ..." if len(groups[number]) > 8 else ""
    where = f"epoch 2, batch {number}, utterances {groups[number][:8]}{more} of the training part"
    assert str(caught.value).startswith(f"{where}: the loss is nan; the last state saved is whole")
    assert "\n" not in str(caught.value)
    whole, resumed = wobbly(), wobbly()
    train(whole, toy(), options, SoftLabels())
    found = train(resumed, toy(), options, SoftLabels(), state=state)
    assert found.resumed_from == 2 * len(groups) + number
    assert_same_weights(resumed, whole)


def test_a_loss_that_is_no_number_names_utterances_by_their_ids_where_they_are_given():
    names = [f"clip-{row}" for row in range(30)]
    with pytest.raises(TrainingError) as caught:
        train(wobbly(), Poisoned(toy(), 11, 0), CONSTANT, SoftLabels(), names=names)
    batches = [batch.rows.tolist() for batch in toy().epoch(0)]
    number = next(k for k, rows in enumerate(batches) if 11 in rows)
    told = ", ".join(names[row] for row in batches[number][:8])
    more = " ..." if len(batches[number]) > 8 else ""
    assert str(caught.value).startswith(f"epoch 0, batch {number}, utterances {told}{more}: the")


def test_names_of_utterances_change_nothing_of_a_state(tmp_path):
    """A training that began without them goes on with them: they are no part of its identity."""
    state = tmp_path / "state.safetensors"
    whole, resumed = wobbly(), wobbly()
    train(whole, toy(), CONSTANT, SoftLabels(), state=state)
    names = [str(row) for row in range(30)]
    found = train(resumed, toy(), CONSTANT, SoftLabels(), state=state, names=names)
    assert found.resumed_from > 0
    assert_same_weights(resumed, whole)


@pytest.mark.parametrize("saved", [False, True])
def test_a_whole_state_is_spoken_of_only_where_one_was_saved(tmp_path, saved):
    state = tmp_path / "state.safetensors" if saved else None
    for what, objective in ((Poisoned(toy(), 11, 1), SoftLabels()), (toy(), Steep())):
        with pytest.raises(TrainingError) as caught:
            train(wobbly(), what, CONSTANT, objective, state=state)
        assert ("the last state saved is whole" in str(caught.value)) == saved
        if saved:
            state.unlink()


def test_a_loss_without_bound_stops_too():
    data = toy()
    data.x[4] = math.inf  # infinity less infinity
    with pytest.raises(
        TrainingError, match=r"epoch 0, batch [0-3], utterances \[.* the loss is nan"
    ):
        train(wobbly(), data, CONSTANT, SoftLabels())


def test_batches_without_rows_are_named_by_their_number():
    @dataclass(frozen=True)
    class Nameless(Poisoned):
        def epoch(self, epoch):
            for batch in super().epoch(epoch):
                yield replace(batch, rows=None)

    with pytest.raises(TrainingError, match=r"^epoch 0, batch [0-3]: the loss is nan"):
        train(wobbly(), Nameless(toy(), 3, 0), CONSTANT, SoftLabels())


@dataclass(frozen=True)
class Steep(SoftLabels):
    """A loss that is finite while its gradient is not."""

    spoilt: int = 6

    def __call__(self, model, batch, total, step):
        loss = super().__call__(model, batch, total, step)
        return loss + (0 * model.outer.weight).sqrt().sum() if step == self.spoilt else loss


def test_weights_that_a_finite_loss_spoilt_are_never_saved(tmp_path):
    state = tmp_path / "state.safetensors"
    with pytest.raises(TrainingError, match="step 7: weights are not finite, though the loss was"):
        train(wobbly(), toy(), CONSTANT, Steep(), state=state)
    whole, resumed = wobbly(), wobbly()
    train(whole, toy(), CONSTANT, SoftLabels())
    # the same objective by name, that is no longer steep
    calm = type("Steep", (Steep,), {"__repr__": lambda self: repr(Steep())})(spoilt=-1)
    assert train(resumed, toy(), CONSTANT, calm, state=state).resumed_from == 6
    assert_same_weights(resumed, whole)


@pytest.mark.parametrize("before", [0, 5])
def test_a_full_disk_is_named_and_the_last_good_state_goes_on(tmp_path, before):
    """The system's limit on a file's size stands for the disk."""
    state = tmp_path / "state.safetensors"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(step, n_steps, loss):
        if step == before + 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))

    try:
        with pytest.raises(CheckpointError) as caught:
            train(wobbly(), toy(), CONSTANT, SoftLabels(), state=state, on_step=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(caught.value)
    assert message.startswith(f"{state}: the state of step {before + 1} cannot be written (")
    assert ("; the state before it is kept: make room" in message) == bool(before)
    assert message.endswith(
        "make room, or give another --out; give the command again and it goes on"
    )
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == ([state] if before else [])  # and nothing half written
    whole, resumed = wobbly(), wobbly()
    train(whole, toy(), CONSTANT, SoftLabels())
    assert train(resumed, toy(), CONSTANT, SoftLabels(), state=state).resumed_from == before
    assert_same_weights(resumed, whole)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    state = tmp_path / "file" / "state.safetensors"
    with pytest.raises(CheckpointError, match=r"state of step 1 cannot be written .*file"):
        train(wobbly(), toy(), CONSTANT, SoftLabels(), state=state)


def test_more_processes_than_devices_are_refused_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "9999")

    class Untouched:
        def __len__(self):
            raise AssertionError("the data was asked")

        epoch = __len__

    model, state = wobbly(), tmp_path / "state.safetensors"
    with pytest.raises(TrainingError, match=r"9999 processes for \d+ .*--nproc-per-node \d+ "):
        train(model, Untouched(), CONSTANT, SoftLabels(), state=state)
    assert_same_weights(model, wobbly())
    assert not state.exists()


@pytest.mark.parametrize(("gpus", "cores", "what"), [(0, 3, "3 cores"), (2, 64, "2 devices")])
def test_devices_are_counted_where_there_are_any_and_cores_elsewhere(
    monkeypatch, gpus, cores, what
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpus > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    check_processes(gpus or cores)
    with pytest.raises(TrainingError, match=f"processes for {what}: start"):
        check_processes((gpus or cores) + 1)
