"""Many tasks at once, each against its formula written naively, segment by segment."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import tiny_whisper
from affekt.batches import Batch, Segments
from affekt.models.whisper_tuned import Answers
from affekt.objectives import Multitask

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

N_LABELS, N_DOMAINS, N_DIMENSIONS = 4, 3, 2


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Said(nn.Module):
    """Gives fixed answers, and notes whether gradients were to be reversed."""

    def __init__(self, answers):
        super().__init__()
        self.answers, self.reverse = answers, None

    def forward(self, x, mask=None, inside=None, reverse=True):
        self.reverse = reverse
        return self.answers


def answers(**change):
    given = Answers(
        random(2, 3, N_LABELS),
        random(2, 10, N_LABELS, seed=1),
        4 * random(2, 3, N_DOMAINS, seed=2),
        random(2, 3, N_DIMENSIONS, seed=3).sigmoid(),
    )
    return given._replace(**change)


def batch(**change):
    """Two rows: three segments, the second unlabelled; two, the first unrated and homeless."""
    inside = torch.zeros(2, 3, 10, dtype=torch.bool)
    borders = [(0, 0, 4), (0, 1, 6), (0, 2, 10), (1, 0, 3), (1, 1, 8)]
    begin = 0
    for row, segment, end in borders:
        begin = 0 if segment == 0 else begin
        inside[row, segment, begin:end] = True
        begin = end
    target = random(2, 3, N_LABELS, seed=4).softmax(-1)
    target[0, 1], target[1, 2] = 0, 0
    weight = torch.tensor([[1.0, 2.0, 0.5], [3.0, 1.0, 0.0]])
    domain = torch.tensor([[0, 2, 1], [-1, 1, -1]])
    ratings = random(2, 3, N_DIMENSIONS, seed=5).sigmoid()
    ratings[1, 0], ratings[0, 0, 1], ratings[1, 2] = math.nan, math.nan, math.nan
    segments = replace(Segments(inside, weight, domain, ratings), **change)
    return Batch(torch.zeros(2, 1), None, target, weight.sum(1), None, segments)


def naive(said, data, *, share=0.0, smoothing=0.0, domain=0.01, rating=1.0, printed=False):
    segments, total = data.segments, 0.0
    for row in range(2):
        for s in range(3):
            missed, target = 0.0, data.target[row, s]
            if target.sum() > 0:
                target = (1 - smoothing) * target + smoothing / N_LABELS
                missed += (1 - share) * -(target * said.labels[row, s].log_softmax(-1)).sum()
                frames = segments.inside[row, s]
                if segments.spoken is not None:
                    frames = frames & segments.spoken[row]
                losses = [-(target * said.frames[row, f].log_softmax(-1)).sum()
                          for f in frames.nonzero()[:, 0]]  # fmt: skip
                missed += share * sum(losses) / max(1, len(losses))
            number = int(segments.domain[row, s])
            if number >= 0:
                guess = -said.domains[row, s].log_softmax(-1)[number]
                missed += domain * (-min(guess, math.log(N_DOMAINS)) if printed else guess)
            known = segments.ratings[row, s].isfinite()
            if known.any():
                apart = said.dimensions[row, s] - segments.ratings[row, s]
                missed += rating * apart[known].square().mean()
            total += float(segments.weight[row, s]) * float(missed)
    return total


@pytest.mark.parametrize(("objective", "how"), [
    (Multitask(), {}),
    (Multitask(frame_share=0.3, smoothing=0.1), {"share": 0.3, "smoothing": 0.1}),
    (Multitask(frame_share=1.0), {"share": 1.0}),
    (Multitask(domain_weight=0.7, rating_weight=0.0), {"domain": 0.7, "rating": 0.0}),
    (Multitask(domain_weight=0.7, printed=True), {"domain": 0.7, "printed": True}),
])  # fmt: skip
def test_the_loss_is_the_weighted_sum_of_each_segments_tasks(objective, how):
    said, data = answers(), batch()
    found = objective(Said(said), data, 5.0, 0)
    assert float(found) == pytest.approx(naive(said, data, **how) / 5, rel=1e-5)


def test_pauses_are_no_frames_to_learn_from():
    spoken = torch.ones(2, 10, dtype=torch.bool)
    spoken[0, :2], spoken[1, :3] = False, False  # half a segment; a whole one
    said, data = answers(), batch(spoken=spoken)
    found = Multitask(frame_share=0.5)(Said(said), data, 1.0, 0)
    assert float(found) == pytest.approx(naive(said, data, share=0.5), rel=1e-5)


def test_what_lies_outside_of_all_segments_makes_no_difference():
    said, data = answers(), batch()
    other = said.frames.clone()
    other[1, 8:] = 1e4
    labels = said.labels.clone()
    labels[1, 2] = 1e4  # a segment that is not there
    objective = Multitask(frame_share=0.5)
    expected = objective(Said(said), data, 1.0, 0)
    changed = answers(frames=other, labels=labels)
    torch.testing.assert_close(objective(Said(changed), data, 1.0, 0), expected)


def test_parts_of_a_batch_add_up_to_the_whole():
    objective, data = Multitask(frame_share=0.5), batch()
    total = float(data.weight.sum())
    parts = []
    for number in range(2):
        said = Answers(*(part[number::2] for part in answers()))
        parts.append(float(objective(Said(said), data.part(number, 2), total, 0)))
    whole = float(objective(Said(answers()), data, total, 0))
    assert sum(parts) == pytest.approx(whole, rel=1e-5)


def test_printed_does_not_reverse_and_stops_where_guessing_is():
    said = Said(answers(domains=torch.tensor([0.0, 0.0, -9.0]).expand(2, 3, 3).clone()))
    said.answers.domains.requires_grad_()
    data = batch()
    Multitask(printed=True)(said, data, 1.0, 0).backward()
    assert said.reverse is False
    gradient = said.answers.domains.grad
    assert not gradient[0, 1].any()  # domain 2 is missed by 9 nats and more: no further
    assert gradient[0, 0].abs().max() > 0
    Multitask()(said, data, 1.0, 0)
    assert said.reverse is True


def test_heads_that_are_not_there_teach_nothing():
    said, data = answers(domains=None, dimensions=None), batch()
    found = Multitask()(Said(said), data, 1.0, 0)
    expected = naive(answers(), data, domain=0.0, rating=0.0)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_batches_without_segments_and_networks_without_frames_are_refused():
    data = replace(batch(), segments=None)
    with pytest.raises(ValueError, match=r"see affekt\.sequence_batches"):
        Multitask()(Said(answers()), data, 1.0, 0)
    with pytest.raises(ValueError, match="per_frame=True"):
        Multitask(frame_share=0.1)(Said(answers(frames=None)), batch(), 1.0, 0)


@pytest.mark.parametrize("change", [
    {"frame_share": 1.1}, {"smoothing": -0.1}, {"domain_weight": -1.0}, {"rating_weight": -1.0},
])  # fmt: skip
def test_shares_and_weights_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change)).split("_")[0]):
        Multitask(**change)
