"""Whisper tuned on several corpora: the plan, what is kept of the published weights, the choice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

import affekt
import tiny_whisper
from affekt import audio, augment
from affekt.calibration import softmax
from affekt.corpora import toy
from affekt.exceptions import CorpusError
from affekt.features.logmel import log_mel
from affekt.protocols import eight_labels, leaving_out, tuning
from affekt.protocols.probe import Heard, RunOptions, frozen_encoder, hear
from affekt.protocols.tuning import Plan, ask, drawn, tune, voices
from affekt.recipes import generalizable, generalizable_ablation, tuned_folds
from affekt.sampler import Piece
from affekt.scheme import EKMAN_8
from affekt.tables import read_table

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

SHORT = replace(
    Plan(), batch_seconds=20.0, training=replace(tuning.TRAINING, epochs=2, learning_rate=1e-3)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generalizable")
    tiny_whisper.write(folder / "tiny-whisper")
    for seed, name in enumerate(("toy", "others", "unseen")):
        toy.make(folder / name, seed=seed)
    return folder


def corpus(folder, name):
    """Half of the toy voices, under the name of another corpus."""
    found = toy.load(folder / name)
    found = found.select(
        found.utterances.index[found.utterances["speaker"].isin(["s01", "s02", "s03"])]
    )
    return replace(found, name=name, card=found.card | {"name": name})


@pytest.fixture(scope="module")
def options(folder):
    (folder / "out").mkdir()
    return RunOptions(
        corpora={name: corpus(folder, name) for name in ("toy", "others")},
        out=folder / "out",
        upstream=str(folder / "tiny-whisper"),
        store=folder / "store",
        command="affekt run generalizable",
        progress=lambda what, total: lambda more: None,
    )


@pytest.fixture(scope="module")
def encoder(options):
    return frozen_encoder(options)


@pytest.fixture(scope="module")
def known(options, encoder):
    heard = [hear(c, encoder, options, in_context=False) for c in options.corpora.values()]
    return voices([eight_labels.teach(part) for part in heard], options)


@pytest.fixture(scope="module")
def tuned(known, encoder, options):
    return tune(known, SHORT, encoder, options)


def whole(corpus_):
    """A corpus of one, nothing heard of it."""
    table = corpus_.utterances.assign(corpus=corpus_.name)
    n = len(table)
    none = np.zeros((n, 1, 1), np.float32)
    return Heard(replace(corpus_, utterances=table), none, none[:0], np.ones(n), {})


def piece(known, utterance, start=0.0, duration=None):
    table = known.heard.corpus.utterances
    whole = float(table.at[utterance, "duration"])
    return Piece(utterance, start, whole if duration is None else duration, None, "")


def test_sound_from_the_store_is_the_decoded_sound_to_16_bits(known):
    corpus = known.heard.corpus
    for utterance in corpus.utterances.index[::7]:
        decoded = audio.load(corpus.path(utterance))
        np.testing.assert_allclose(known.load(piece(known, utterance)), decoded, atol=1 / 32767)


def test_a_piece_of_an_utterance_is_where_it_is_said_to_be(known):
    utterance = known.heard.corpus.utterances.index[0]
    whole = known.load(piece(known, utterance))
    part = known.load(piece(known, utterance, start=0.1, duration=0.2))
    np.testing.assert_array_equal(part, whole[1600:4800])


def test_a_corpus_and_the_rest_are_everything(known):
    one, rest = known.part("toy"), known.part("toy", without=True)
    ids = [*one.heard.corpus.utterances.index, *rest.heard.corpus.utterances.index]
    assert sorted(ids) == sorted(known.heard.corpus.utterances.index)
    assert set(rest.heard.corpus.utterances["corpus"]) == {"others"}


def test_every_utterance_is_drawn_once_alone_or_in_a_sequence():
    pool = [Piece(str(number), 0.0, 2.0, (1.0,), "") for number in range(40)]
    found = drawn(pool, Plan(together=0.25, seconds=8.0), 0, 0)
    assert sorted(s.piece.utterance for one in found for s in one) == sorted(
        p.utterance for p in pool
    )
    assert sum(len(one) == 1 for one in found) >= 30
    assert max(one[-1].end for one in found) <= 8.0
    assert {len(one) for one in found} - {1} == {4} or {len(one) for one in found} - {1} == {2, 4}


def test_an_epoch_of_some_clips_draws_others_the_next_time():
    pool = [Piece(str(number), 0.0, 2.0, (1.0,), "") for number in range(40)]
    plan = Plan(clips=10, together=0.0)
    first, again, second = (
        {one[0].piece.utterance for one in drawn(pool, plan, 0, epoch)} for epoch in (0, 0, 1)
    )
    assert len(first) == 10
    assert first == again
    assert first != second


def test_a_tuned_network_says_of_a_clip_what_it_says_of_it_alone(tuned, known):
    answers = ask(tuned.network, known)
    for row in (0, 5):
        waveform = known.load(piece(known, known.heard.corpus.utterances.index[row]))
        mel = log_mel(np.pad(waveform, (0, -waveform.size % 320)))
        with torch.inference_mode():
            alone = tuned.network(torch.from_numpy(mel)[None])
        np.testing.assert_allclose(answers[row], alone[0].numpy(), atol=1e-4)


def test_training_moves_the_tuned_blocks_and_neither_the_stem_nor_the_probe_it_began_as(
    tuned, encoder
):
    for name, value in encoder.state_dict().items():
        now, before = (n.encoder.state_dict()[name] for n in (tuned.network, tuned.before))
        assert torch.equal(before, value)
        if name.startswith(("conv", "embed")):
            assert torch.equal(now, value)
        elif name.endswith("fc1.weight"):
            assert not torch.equal(now, value)


def test_what_is_kept_lies_between_what_it_began_as_and_what_it_became(tuned):
    half = tuned.kept(0.5).state_dict()
    began, became = tuned.before.state_dict(), tuned.network.state_dict()
    for name, value in half.items():
        torch.testing.assert_close(value, (began[name] + became[name]) / 2)
    assert all(torch.equal(v, became[n]) for n, v in tuned.kept(0.0).state_dict().items())


def test_training_without_changes_lowers_the_loss_on_what_is_taught(known, encoder, options):
    target = known.heard.corpus.labels.to_numpy()
    how = replace(SHORT.training, epochs=6, learning_rate=1e-4)
    plan = replace(SHORT, chances={}, masks=False, smoothing=0.0, together=0.0, training=how)
    found = tune(known, plan, encoder, options)

    def missed(network):
        return -(target * np.log(softmax(ask(network, known)))).sum(1).mean()

    assert missed(found.network) < missed(found.before)


def test_adjusted_logits_differ_from_plain_ones_by_the_log_priors(known, encoder, options):
    once = replace(SHORT, training=replace(SHORT.training, epochs=1))
    plain, adjusted = (
        tune(known, replace(once, balance=balance), encoder, options).network
        for balance in ("none", "logits")
    )
    prior = known.heard.corpus.labels.to_numpy().mean(0)
    taught = prior > 0
    apart = ask(plain, known) - ask(adjusted, known)
    expected = np.broadcast_to(np.log(prior[taught] + 1e-6), (len(apart), taught.sum()))
    np.testing.assert_allclose(apart[:, taught], expected, atol=1e-4)


@pytest.fixture(scope="module")
def run(folder, options):
    """One plan, chosen among two shares kept, and a corpus that is only tested on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generalizable, "PLANS", {"short": SHORT})
        patch.setattr(leaving_out, "KEPT", (0.0, 1.0))
        patch.setattr(eight_labels, "NEVER_TRAINED_ON", ("unseen",))
        every = options.corpora | {"unseen": corpus(folder, "unseen")}
        asked = replace(options, corpora=every, out=folder / "run")
        asked.out.mkdir()
        results = generalizable.main(asked)
    return asked, results


def test_the_choice_is_made_by_corpora_left_out_and_written_down(run):
    options, _ = run
    table = read_table(options.out / "choice.csv")
    assert table["kept"].tolist() == [0.0, 1.0]
    np.testing.assert_allclose(table["mean"], table[["toy", "others"]].mean(axis=1), atol=1e-4)
    assert not any("unseen" in name for name in table.columns)


def test_the_probe_left_out_is_the_network_with_all_published_weights_kept(run, known, encoder):
    options, _ = run
    path = next(options.out.glob("without-toy-*.safetensors"))
    plan = replace(SHORT, training=replace(SHORT.training, epochs=0))
    others = known.part("toy", without=True)
    probe = tune(others, plan, encoder, options).before
    expected = ask(probe, known.part("toy"), precision="bfloat16")
    np.testing.assert_allclose(load_file(path)["1"], expected, atol=1e-4)


def test_the_recogniser_written_says_what_the_report_says(run, folder):
    options, results = run
    model = affekt.load(options.out / "recognizer")
    assert model.labels == tuple(EKMAN_8)
    place = next(result.folder for result in results if "unseen" in result.folder.name)
    written = pd.read_csv(place / "predictions.csv", index_col="utterance")
    unseen = corpus(folder, "unseen")
    utterance = unseen.utterances.index[3]
    said = model.predict(
        unseen.path(utterance), labels=["anger", "happiness", "neutral", "sadness"]
    )
    row = written.loc[utterance]
    np.testing.assert_allclose([said[n] for n in said], [row[n] for n in said], atol=0.02)
    voice = model.baseline([unseen.path(id_) for id_ in unseen.utterances.index])
    assert model.predict(unseen.path(utterance), baseline=voice) != model.predict(
        unseen.path(utterance)
    )


def test_a_run_of_some_corpora_left_out_stops_there_and_the_next_one_takes_it(
    folder, options, monkeypatch
):
    monkeypatch.setattr(generalizable, "PLANS", {"short": SHORT})
    monkeypatch.setattr(leaving_out, "KEPT", (0.0,))
    part = replace(options, out=folder / "part", folds=("toy",), epochs=1)
    part.out.mkdir()
    assert generalizable.main(part) == []
    (written,) = part.out.glob("*.safetensors")
    before = written.stat().st_mtime_ns
    assert generalizable.main(part) == []
    assert written.stat().st_mtime_ns == before


def test_a_corpus_left_out_that_is_not_there_is_refused(options):
    with pytest.raises(CorpusError, match="--folds ravdess: there are toy, others"):
        generalizable.main(replace(options, folds=("ravdess",)))


def test_of_one_corpus_alone_parts_of_its_speakers_are_left_out(known):
    toy_ = toy.load(known.heard.corpus.root / "toy")
    parts = leaving_out.parts_of(replace(known, heard=whole(toy_)), seed=0)
    speakers = toy_.utterances["speaker"]
    assert len(parts) == 5
    assert sorted(id_ for ids in parts.values() for id_ in ids) == sorted(toy_.utterances.index)
    heard_in = [set(speakers.loc[list(ids)]) for ids in parts.values()]
    assert sum(map(len, heard_in)) == len(set().union(*heard_in)) == 6


def test_tests_alone_are_nothing_to_train_on(options):
    tests = {"emodb": options.corpora["toy"]}
    with pytest.raises(CorpusError, match="no corpus to train on"):
        generalizable.main(replace(options, corpora=tests))


def test_folds_that_were_done_apart_are_taken_together(folder, options, monkeypatch):
    monkeypatch.setattr(tuned_folds, "PLAN", replace(SHORT, together=0.0))
    alone = {"toy": options.corpora["toy"]}
    own = replace(options, corpora=alone, out=folder / "folds", epochs=1)
    own.out.mkdir()
    tuned_folds.main(replace(own, folds=("1",)))
    (written,) = own.out.glob("fold-*.safetensors")
    before = written.stat().st_mtime_ns
    (whole,) = tuned_folds.main(own)
    assert written.stat().st_mtime_ns == before
    said = pd.read_csv(whole.folder / "predictions.csv", index_col="utterance")
    assert sorted(said.index) == sorted(own.corpora["toy"].utterances.index)
    assert len(list(own.out.glob("fold-*.safetensors"))) == 3
    assert not list(own.out.glob("training-*"))


def test_a_damaged_file_is_computed_anew(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"no tensors")
    found = tuning.kept_on_disk(path, lambda state: {"a": np.ones(2)})
    again = tuning.kept_on_disk(path, lambda state: {"a": np.zeros(2)})
    np.testing.assert_array_equal(found["a"], again["a"])


def test_an_ablation_compares_rows_by_the_mean_over_corpora_of_their_uar():
    right, wrong = np.diag([4, 4]), np.array([[4, 0], [4, 0]])
    all_right = np.stack([np.stack([right, right])] * 3)  # three speakers, two corpora
    half = np.stack([np.stack([right, wrong])] * 3)
    table = generalizable_ablation.compare({"all": all_right, "less": half}, ["a", "b"], 0)
    assert table["a"].tolist() == ["1.000", "1.000"]
    assert table["b"].tolist() == ["1.000", "0.500"]
    assert table["mean UAR"].tolist() == ["1.000 [1.000, 1.000]", "0.750 [0.750, 0.750]"]
    assert table["difference"].tolist() == ["", "-0.250 [-0.250, -0.250]"]


def test_an_ablation_counts_answers_among_the_labels_of_each_corpus(known):
    corpus_ = known.heard.corpus
    logits = np.zeros((len(corpus_), len(EKMAN_8)))
    logits[:, list(EKMAN_8).index("disgust")] = 9.0  # which neither corpus has
    logits[:, list(EKMAN_8).index("neutral")] = 1.0
    counts = generalizable_ablation._counts(known, logits)
    assert counts.shape == (6, 2, 8, 8)
    assert counts.sum() == len(corpus_)
    assert counts[..., list(EKMAN_8).index("neutral")].sum() == len(corpus_)


def test_an_ablation_needs_a_corpus_to_leave_out(options):
    with pytest.raises(CorpusError, match="nemo and emovo"):
        generalizable_ablation.main(options)


def test_what_the_crowd_heard_and_what_was_meant_are_taught_half_and_half(known):
    own = known.part("toy").heard
    first = own.corpus.utterances.index[0]
    votes = pd.DataFrame(
        {"utterance": [first] * 2, "rater": ["a", "b"], "label": ["fear", "other"]}
    )
    corpus_ = replace(own.corpus.select([first]), votes=votes)
    meant = corpus_.labels.loc[first].idxmax()
    heard = Heard(corpus_, own.alone[:1], own.in_context, own.seconds[:1], {})
    taught = eight_labels.teach(heard).corpus.labels.loc[first]
    assert taught[taught > 0].to_dict() == {meant: 0.5, "fear": 0.25, "other": 0.25}
    assert eight_labels.teach(heard, "intention").corpus.labels.loc[first].max() == 1.0


def test_babble_is_made_of_the_sound_of_pieces_loaded_one_by_one():
    pool = [Piece(f"u{n}", 0.0, 0.1, None, "") for n in range(5)]
    asked = []

    def load(piece):
        asked.append(piece.utterance)
        return np.full(1600, 0.1 + int(piece.utterance[1:]), np.float32)

    sounds = tuning.Sounds(pool, load)
    assert (len(sounds), sounds[3][0]) == (5, np.float32(3.1))
    assert [sound[0] for sound in sounds[1:3]] == [np.float32(1.1), np.float32(2.1)]
    assert asked == ["u3", "u1", "u2"]
    given = np.zeros(1600, np.float32) + np.float32(0.01)
    changed = augment.noise(given, np.random.default_rng(0), others=sounds, colour="babble")
    assert 3 <= len(asked) - 3 <= 7
    assert not np.array_equal(changed, given)


def test_a_plan_moves_voices_before_it_masks_them():
    mel = np.arange(80, dtype=np.float32)[:, None] * np.ones((1, 50), np.float32)
    still = Plan(masks=False, shift=0)
    np.testing.assert_array_equal(still.change_mel(mel, np.random.default_rng(0)), mel)
    rngs = [np.random.default_rng(seed) for seed in range(30)]
    moved = {float(Plan(masks=False, shift=2).change_mel(mel, rng)[40, 0]) for rng in rngs}
    assert moved == {38.0, 39.0, 40.0, 41.0, 42.0}
    masked = Plan(shift=0).change_mel(mel, np.random.default_rng(0))
    wanted = augment.spec_augment(mel, np.random.default_rng(0))
    np.testing.assert_array_equal(masked, wanted)
