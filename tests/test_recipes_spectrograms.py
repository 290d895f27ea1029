"""Networks on spectrograms, fold by fold, on the toy corpus: taught, interrupted, collapsed."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import tiny_spectrograms
import tiny_whisper
from affekt import audio, checkpoint
from affekt.calibration import softmax
from affekt.exceptions import CorpusError, SplitError
from affekt.features import FEATURES
from affekt.metrics import unweighted_average_recall
from affekt.models import MobileNetAttention, MobileNetAttentionConfig
from affekt.protocols.clips import View, audible_part, in_windows, repeated
from affekt.protocols.spectrogram_folds import SELECTED_ON_TEST, held_out
from affekt.protocols.spectrograms import clips_of, teach
from affekt.splits import by_session, by_speaker, stratified
from affekt.tables import read_table
from tiny_spectrograms import METHOD, options_in, page_of, run, tiny

place = pytest.fixture(scope="module")(tiny_spectrograms.place)
corpus = pytest.fixture(scope="module")(tiny_spectrograms.corpus)
clips = pytest.fixture(scope="module")(tiny_spectrograms.clips)
light = pytest.fixture(autouse=True)(tiny_spectrograms.light)
options = pytest.fixture(tiny_spectrograms.options)
one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)


def dead(n):
    model = tiny(n)
    model.dead = True
    return model


# clips


def test_clips_are_the_audible_parts_of_the_features_in_the_tables_order(clips, corpus):
    assert clips.corpus.utterances.index.tolist() == corpus.utterances.index.tolist()
    for row in (0, 17, 71):
        waveform = audio.load(corpus.path(corpus.utterances.index[row]))
        whole = FEATURES["log_mel_dusha"](waveform)
        np.testing.assert_array_equal(clips.spectrograms[row], heard(whole, METHOD))
    assert clips.lengths == [clip.shape[1] for clip in clips.spectrograms]


def test_a_selection_keeps_clip_and_label_together(clips):
    ids = clips.corpus.utterances.index[[40, 3, 66]].tolist()
    some = clips.select(ids)
    assert some.corpus.utterances.index.tolist() == ids
    for row, number in enumerate((40, 3, 66)):
        np.testing.assert_array_equal(some.spectrograms[row], clips.spectrograms[number])
        np.testing.assert_array_equal(some.target[row], clips.target[number])
    some.target[:] = 0.5  # its own, not the corpus'
    assert set(np.unique(some.target)) == {0.0, 1.0}


def test_what_is_excluded_or_has_no_label_is_left_out(corpus, options):
    first, second = corpus.utterances.index[:2]
    table = corpus.utterances.copy()
    table.loc[first, "excluded"] = "cough"
    less = replace(corpus, utterances=table, labels=corpus.labels.drop(second))
    found = clips_of(less, METHOD, options)
    assert found.corpus.utterances.index.tolist() == corpus.utterances.index[2:].tolist()
    assert len(found.spectrograms) == len(found.target) == 70
    none = replace(corpus, labels=corpus.labels.iloc[:0])
    with pytest.raises(CorpusError, match="toy: no utterance of toy can be used"):
        clips_of(none, METHOD, options)


def sounding(levels):
    """Loudest band of each frame, another band each, the rest 90 dB down."""
    spectrogram = np.full((8, len(levels)), -90.0, np.float32)
    spectrogram[np.arange(len(levels)) % 8, np.arange(len(levels))] = levels
    return spectrogram


def heard(spectrogram, method):
    return audible_part(spectrogram, decibel=method.decibel, hop=method.hop)


def test_what_is_audible_reaches_from_the_first_to_the_last_loud_frame_and_a_little_beside():
    levels = np.full(100, -46.0)
    levels[[30, 59]] = -1.0, -46.0 + 0.1  # just above and just below 45 dB under the loudest
    levels[[40, 60]] = -80.0, -46.0
    found = heard(sounding(levels), METHOD)
    np.testing.assert_array_equal(found, sounding(levels)[:, 20:70])


@pytest.mark.parametrize(("loud", "kept"), [((3, 50), (0, 61)), ((45, 97), (35, 100))])
def test_the_margin_ends_where_the_clip_does(loud, kept):
    levels = np.full(100, -70.0)
    levels[list(loud)] = 0.0
    found = heard(sounding(levels), METHOD)
    np.testing.assert_array_equal(found, sounding(levels)[:, slice(*kept)])


def test_units_and_hop_are_the_methods():
    levels = np.full(100, -4.4)
    levels[50] = 0.0
    bels = replace(METHOD, decibel=10.0, hop=0.05)  # 44 dB down is audible, 46 dB is not
    assert heard(sounding(levels), bels).shape[1] == 100
    levels[levels < 0] = -4.6
    assert heard(sounding(levels), bels).shape[1] == 5


def test_silence_all_through_is_kept():
    assert heard(np.full((64, 30), -80.0, np.float32), METHOD).shape == (64, 30)


def test_short_clips_are_repeated_and_long_ones_kept():
    clip = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert repeated(clip, 7).tolist() == [[0, 1, 2, 0, 1, 2, 0], [3, 4, 5, 3, 4, 5, 3]]
    assert repeated(clip, 3) is clip


# teaching


def test_what_is_learnt_beats_the_majority_on_new_voices(clips, options):
    result = run(clips, options)
    measure = result.report.unweighted_average_recall
    assert measure.majority == pytest.approx(0.25)
    assert measure.value > 0.4
    answers = read_table(result.folder / "predictions.csv")
    assert sorted(answers.index) == sorted(clips.corpus.utterances.index)
    np.testing.assert_allclose(answers[list(clips.corpus.scheme)].sum(axis=1), 1, atol=1e-6)
    assert f"{64 * 8 + 8 + 8 * 4 + 4:,} parameters" in page_of(result)
    assert SELECTED_ON_TEST not in page_of(result)


def test_the_epoch_that_the_judged_part_likes_best_gives_the_weights(clips, options):
    known, judged = held_out(clips, 0)
    taught = teach(METHOD, known, judged, options)
    uar = unweighted_average_recall(
        judged.target.argmax(1), taught.ask(judged.spectrograms).argmax(1)
    )
    assert uar == max(taught.trained.scores)
    assert len(taught.trained.scores) == 12
    unjudged = teach(METHOD, known, None, options)
    assert unjudged.trained.scores == ()
    assert unjudged.trained.losses == taught.trained.losses


def test_input_is_standardised_band_by_band_over_the_training_part(clips, options):
    method = replace(METHOD, standardise=True)
    taught = teach(method, clips, None, replace(options, epochs=1))
    frames = np.concatenate(clips.spectrograms, axis=1)
    np.testing.assert_allclose(taught.mean[:, 0], frames.mean(1, dtype=float), rtol=1e-5)
    np.testing.assert_allclose(taught.scale[:, 0], frames.std(1, dtype=float), rtol=1e-4)
    other = teach(METHOD, clips, None, replace(options, epochs=1))
    assert taught.mean.shape == (64, 1)
    assert (other.mean, other.scale) == (0, 1)


@pytest.mark.parametrize("masked", [True, False])
def test_an_answer_does_not_hang_on_the_clips_beside(clips, options, masked):
    """Nor on the padding, where the network would hear it."""
    method = replace(
        METHOD, build=lambda n: MobileNetAttention(MobileNetAttentionConfig(n, masked=masked))
    )
    few = clips.select(clips.corpus.utterances.index[[0, 5, 9, 13, 30]])
    assert len(set(few.lengths)) > 2
    taught = teach(method, few, None, replace(options, epochs=1))
    alone = np.concatenate([taught.ask([clip]) for clip in few.spectrograms])
    np.testing.assert_allclose(taught.ask(few.spectrograms), alone, atol=1e-4)


# collapse


def built(*kinds):
    """Builds one network after another."""
    waiting = list(kinds)
    return lambda n: waiting.pop(0)(n)


def test_a_network_that_collapsed_is_taught_again_at_a_tenth_of_the_rate(clips, options):
    method = replace(METHOD, build=built(dead, tiny, tiny, tiny))
    result = run(clips, options, method)
    lines = page_of(result).splitlines()
    assert "> session-1 had collapsed: trained anew at a rate of 0.002" in lines
    assert not any("session-2 had collapsed" in line for line in lines)
    assert len(set(read_table(result.folder / "predictions.csv").idxmax(axis=1))) > 1


def test_one_that_collapses_again_is_named_with_the_majority_beside_it(clips, options):
    result = run(clips, options, replace(METHOD, build=dead))
    page = page_of(result)
    label = list(clips.corpus.scheme)[2]
    assert result.report.constant == label
    assert f"> COLLAPSED: every one of the 72 predictions is {label}" in page
    for session in (1, 2, 3):
        line = f"> session-{session} had collapsed: trained anew at a rate of 0.002"
        assert f"{line}, and collapsed again" in page
    measures = json.loads((result.folder / "report.json").read_text("utf-8"))["measures"]
    assert measures["unweighted_average_recall"]["value"] == pytest.approx(0.25)
    assert measures["unweighted_average_recall"]["majority"] == pytest.approx(0.25)


def test_a_network_taught_once_or_twice_says_so(clips, options):
    again = teach(replace(METHOD, build=built(dead, tiny)), clips, None, options)
    assert (again.rate, again.collapsed) == (pytest.approx(0.002), False)
    once = teach(METHOD, clips, None, options)
    assert (once.rate, once.collapsed) == (0.02, False)
    never = teach(replace(METHOD, build=dead), clips, None, options)
    assert (never.rate, never.collapsed) == (pytest.approx(0.002), True)


def test_one_answer_is_right_where_there_is_one_label(clips, options):
    labels = clips.corpus.labels
    same = labels.index[labels.iloc[:, 2] == 1]
    taught = teach(replace(METHOD, build=built(dead)), clips.select(same), None, options)
    assert (taught.rate, taught.collapsed) == (0.02, False)


# protocols


def test_the_papers_protocol_chooses_on_the_test_part_and_its_first_line_says_so(clips, options):
    paper = run(clips, replace(options, folds=("session-1",), protocol="paper"))
    assert page_of(paper).splitlines()[0] == f"> {SELECTED_ON_TEST}"
    assert "| SELECTED ON THE TEST PART: " in (paper.folder / "results_row.md").read_text("utf-8")
    card = checkpoint.read_card(paper.folder / "checkpoint-session-1")
    assert card["split"] == "session-1, SELECTED ON THE TEST PART"
    split = by_session(clips.corpus.utterances)[0]
    judged = clips.select(split.test)
    taught = teach(METHOD, clips.select(split.train), judged, options)
    assert paper.report.unweighted_average_recall.value == max(taught.trained.scores)


def test_what_the_test_part_chose_is_never_taken_for_clean(clips, options):
    """Where all speakers are learned from, the two protocols differ by the judge alone."""
    method = replace(METHOD, choose=False)
    one = replace(options, folds=("session-1",))
    assert "of 12\n" in page_of(run(clips, replace(one, protocol="paper"), method))
    clean = run(clips, one, method)
    assert "epochs: 12\n" in page_of(clean)
    last = teach(method, clips.select(by_session(clips.corpus.utterances)[0].train), None, options)
    test = clips.select(by_session(clips.corpus.utterances)[0].test)
    expected = torch.from_numpy(last.ask(test.spectrograms)).softmax(1).numpy()
    np.testing.assert_allclose(read_table(clean.folder / "predictions.csv"), expected, atol=1e-6)


def test_only_the_folds_asked_for_are_run(clips, options):
    result = run(clips, replace(options, folds=("session-3", "session-1")))
    sessions = clips.corpus.utterances.loc[
        read_table(result.folder / "predictions.csv").index, "session"
    ]
    assert sorted(set(sessions)) == ["1", "3"]
    assert result.report.n == 48
    assert "sessions: 2 of them" in (result.folder / "results_row.md").read_text("utf-8")


@pytest.mark.parametrize("folds", [("9",), ("session-1", "session-4")])
def test_a_fold_that_there_is_not_is_named_with_those_there_are(clips, options, folds):
    known = "there are session-1, session-2, session-3"
    with pytest.raises(CorpusError, match=rf"^--folds {folds[-1]}: {known}$"):
        run(clips, replace(options, folds=folds))
    assert not list(options.out.iterdir())


def test_shared_speakers_are_refused_before_anything_is_taught_or_said(clips, options):
    labels = clips.corpus.labels.idxmax(axis=1)
    splits = stratified(clips.corpus.utterances, labels)
    with pytest.raises(SplitError, match="allow-shared-speakers"):
        run(clips, options, splits=splits)
    assert not list(options.out.iterdir())
    allowed = run(clips, replace(options, allow_shared_speakers=True), splits=splits)
    assert page_of(allowed).startswith("> NOT SPEAKER-DISJOINT")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_speakers_that_choose_the_epoch_are_not_learned_from(clips, seed):
    known, judged = held_out(clips, seed)
    speakers = [set(part.corpus.utterances["speaker"]) for part in (known, judged)]
    assert speakers[0] | speakers[1] == set(clips.corpus.utterances["speaker"])
    assert not speakers[0] & speakers[1]
    ids = [*known.corpus.utterances.index, *judged.corpus.utterances.index]
    assert sorted(ids) == sorted(clips.corpus.utterances.index)
    assert len(judged.spectrograms) == len(judged.target) > 0
    assert held_out(clips, seed)[1].corpus.utterances.index.equals(judged.corpus.utterances.index)


def test_of_one_speaker_a_tenth_of_each_class_chooses_the_epoch(clips):
    table = clips.corpus.utterances
    alone = replace(clips.corpus, utterances=table.assign(speaker="one"))
    known, judged = held_out(replace(clips, corpus=alone), 0)
    labels, whole = (part.labels.idxmax(axis=1) for part in (judged.corpus, alone))
    assert labels.value_counts().to_dict() == (whole.value_counts() * 0.1).round().to_dict()
    assert len(known.corpus) + len(judged.corpus) == len(table)


# interrupted


def test_an_interrupted_run_gives_the_same_report(clips, place, tmp_path):
    method = replace(
        METHOD, change=lambda clip, rng: clip + rng.normal(0, 3, clip.shape[1]).astype("f")
    )
    whole = run(clips, options_in(place, tmp_path / "whole"), method)
    steps = []

    def stopping(after):
        def progress(what, total):
            def tell(more):
                steps.append(what)
                if len(steps) == after:
                    raise KeyboardInterrupt

            return tell

        return progress

    out = tmp_path / "resumed"
    for after in (7, 50):  # in the first fold, in the second
        with pytest.raises(KeyboardInterrupt):
            run(clips, options_in(place, out, progress=stopping(after)), method)
    before = len(steps)
    resumed = run(clips, options_in(place, out, progress=stopping(-1)), method)
    assert page_of(resumed) == page_of(whole)
    pd.testing.assert_frame_equal(
        read_table(resumed.folder / "predictions.csv"), read_table(whole.folder / "predictions.csv")
    )
    assert 0 < len(steps) - before < 60
    done = len(steps)
    run(clips, options_in(place, out, progress=stopping(-1)), method)
    assert len(steps) == done  # all folds had ended


def test_a_split_by_name_with_a_dot_has_a_state_of_its_own(clips, options):
    """What follows a dot is no ending."""
    first = by_speaker(clips.corpus.utterances, 3)[0]
    few = replace(METHOD, training=replace(METHOD.training, epochs=1))
    for name in ("share-12.5-a", "share-12.7-b"):
        run(clips, options, few, [replace(first, name=name)])
    states = sorted(path.name for path in options.out.glob("*.safetensors"))
    assert states == ["tiny-share-12.5-a.0.safetensors", "tiny-share-12.7-b.0.safetensors"]


def test_windows_cover_a_clip_to_its_last_frame_and_short_clips_are_one():
    given = [np.arange(n, dtype=np.float32)[None] for n in (4, 8, 9, 19)]
    windows, owner = in_windows(View(given, [clip.shape[1] for clip in given]), 8)
    starts = [(row, int(clip[0, 0])) for row, clip in zip(owner, windows, strict=True)]
    assert starts == [(0, 0), (1, 0), (2, 0), (2, 1), *((3, n) for n in (0, 2, 4, 6, 8, 10, 11))]
    assert windows.lengths == [clip.shape[1] for clip in windows]
    assert set(windows.lengths[1:]) == {8}
    assert windows[-1][0, -1] == 18


def test_a_clip_is_answered_by_the_mean_of_its_windows(clips, options):
    longest = max(clips.lengths)
    taught = teach(METHOD, clips, None, options)
    part = replace(taught, window=longest // 2)
    whole, found = taught.ask(clips.spectrograms), part.ask(clips.spectrograms)
    windows, owner = in_windows(clips.spectrograms, longest // 2)
    said = softmax(taught.ask(windows))
    means = [said[owner == row].mean(0) for row in range(len(whole))]
    np.testing.assert_allclose(softmax(found), means, atol=1e-12)
    assert np.abs(softmax(whole) - means).max() > 1e-3
    uncut = replace(taught, window=longest).ask(clips.spectrograms)
    np.testing.assert_allclose(softmax(uncut), softmax(whole), atol=1e-12)
