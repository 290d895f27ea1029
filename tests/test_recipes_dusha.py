"""The Dusha network's recipes on what Dusha looks like, and a crowd that teaches it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tiny_whisper
from affekt import checkpoint
from affekt.corpora import toy
from affekt.corpora.dusha import experiments
from affekt.exceptions import CheckpointError, CorpusError, SplitError
from affekt.protocols import dusha_networks
from affekt.protocols.clips import joined
from affekt.protocols.folds import folds_of
from affekt.protocols.probe import RunOptions
from affekt.protocols.spectrograms import _draw, clips_of
from affekt.recipes import dusha_crowd, dusha_table_3, networks_zero_shot
from affekt.scheme import EKMAN_8
from affekt.tables import read_table

one_thread = pytest.fixture(scope="module", autouse=True)(tiny_whisper.one_thread)

LABELS = {"angry": 0, "sad": 1, "neutral": 2, "positive": 3}
DOMAINS = ("crowd", "podcast")


def options_of(out, **settings):
    settings = {"corpora": {}, "epochs": 1, **settings}
    return RunOptions(
        out=out,
        upstream="-",
        store=out / "store",
        command="affekt run",
        progress=lambda what, total: lambda done: None,
        **settings,
    )


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Manifests with features alone: three clips a label and domain to learn, one to test."""
    root = tmp_path_factory.mktemp("dusha")
    rng = np.random.default_rng(0)
    home = root / "processed_dataset_090"
    for folder in ("aggregated_dataset", "train", "test"):
        (home / folder).mkdir(parents=True)
    (root / "features").mkdir()
    for part, n_clips in (("train", 3), ("test", 1)):
        rows = []
        for domain in DOMAINS:
            whole = []
            for label, code in LABELS.items():
                for number in range(n_clips):
                    name = f"{domain}-{part}-{label}-{number}"
                    features = rng.uniform(-80, 0, (1, 64, 40)).astype(np.float32)
                    np.save(root / "features" / f"{name}.npy", features)
                    rows.append(
                        {
                            "id": name,
                            "tensor": f"../../features/{name}.npy",
                            "wav_length": 0.4,
                            "label": code,
                            "emotion": label,
                        }
                    )
                    whole.append(
                        {
                            "hash_id": name,
                            "audio_path": f"../../{domain}_{part}/wavs/{name}.wav",
                            "duration": 0.4,
                            "emotion": label,
                            "golden_emo": None,
                            "speaker_text": "",
                            "speaker_emo": "",
                            "source_id": f"{domain}-{part}-{number}",
                        }
                    )
            path = home / "aggregated_dataset" / f"{domain}_{part}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in whole))
        path = home / part / f"{part}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def test_dusha_is_learnt_from_its_released_features_and_reported_by_domain(released, tmp_path):
    corpus = experiments.load(released)
    options = options_of(tmp_path, corpora={"dusha-manifests": corpus}, method="dusha")
    whole, *parts = dusha_table_3.main(options)
    assert whole.report.n == 8
    assert [(part.folder.name, part.report.n) for part in parts] == [
        ("dusha-crowd", 4),
        ("dusha-podcast", 4),
    ]
    assert any("accuracy 0.83" in note for note in whole.report.notes)
    assert (
        read_table(tmp_path / "dusha-crowd" / "predictions.csv").index.str.startswith("crowd").all()
    )
    assert not (tmp_path / "store").exists()  # nothing had to be computed


def test_a_set_up_learns_from_its_domain_alone(released, tmp_path):
    corpus = experiments.load(released)
    dusha_table_3.run("crowd", corpus, options_of(tmp_path))
    (folder,) = (tmp_path / "crowd").glob("checkpoint-*")
    _, card = checkpoint.load(folder)
    assert card["corpora"][0]["utterances"] <= 12
    assert all(name.startswith("crowd-train") for name in card["corpora"][0]["speakers"])


def test_rare_labels_of_podcasts_are_drawn_more_often(released, tmp_path):
    method = replace(dusha_networks.METHODS["podcast"], batch_size=24)
    clips = clips_of(experiments.load(released), method, options_of(tmp_path))
    known = clips.select(folds_of(clips.corpus, options_of(tmp_path))[0][0].train)
    draw = _draw(method, known)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([rows for _ in range(200) for rows in draw(rng)])
    labels = known.corpus.labels.idxmax(axis=1).to_numpy()[drawn]
    shares = pd.Series(labels).value_counts(normalize=True)
    expected = {"sadness": 20 / 36, "anger": 10 / 36, "happiness": 5 / 36, "neutral": 1 / 36}
    for label, share in expected.items():
        assert shares[label] == pytest.approx(share, abs=0.02), label


def test_a_recording_shorter_than_a_frame_is_named(voices, tmp_path):
    corpus = voices[1]
    table = corpus.utterances.copy()
    table.loc[table.index[3], ["start", "end"]] = 0.1, 0.115
    brief = replace(corpus, utterances=table)
    with pytest.raises(CorpusError, match=rf"{table.index[3]}.*shorter than a frame of 0.02 s"):
        clips_of(brief, dusha_networks.METHODS["ours"], options_of(tmp_path))


def test_features_in_the_place_of_recordings_are_refused_where_another_is_read(released, tmp_path):
    method = replace(dusha_networks.METHODS["ours"], feature="log_mel_lssed")
    with pytest.raises(CorpusError, match="log_mel_dusha, not log_mel_lssed"):
        clips_of(experiments.load(released), method, options_of(tmp_path))


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """A crowd's corpus and another: one clip of each speaker and emotion."""
    found = []
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp(f"toy{seed}")
        toy.make(folder, seed=seed)
        corpus = toy.load(folder, durations=True)
        found.append(corpus.select([u for u in corpus.utterances.index if u.endswith("_1")]))
    crowd, other = found
    rng = np.random.default_rng(0)
    votes = [
        {"utterance": u, "rater": f"r{rater}", "label": label}
        for u, meant in crowd.labels.idxmax(axis=1).items()
        for rater in range(3)
        for label in [meant if rater < 2 else str(rng.choice(list(crowd.scheme)))]
    ]
    return replace(crowd, votes=pd.DataFrame(votes)), replace(other, name="other", votes=None)


def test_a_crowd_teaches_soft_and_hard_and_both_are_tuned_elsewhere(voices, tmp_path):
    crowd, other = voices
    options = options_of(tmp_path, corpora={"toy": crowd, "other": other}, folds=("1",))
    results = dusha_crowd.main(options)
    names = ["soft", "soft-tuned", "hard", "hard-tuned", "from-nothing"]
    assert [result.folder.name for result in results] == names
    first, tuned = results[0].report, results[1].report
    assert (first.n_speakers, tuned.n_speakers) == (2, 1)  # a fifth of six, and one left out
    (folder,) = (tmp_path / "soft-tuned").glob("checkpoint-*")
    _, card = checkpoint.load(folder)
    assert card["started_from"] == "soft/network"
    assert [part["name"] for part in card["learned_before"]] == ["toy"]
    assert "training started from the checkpoint soft/network" in results[1].report.notes
    row = (tmp_path / "soft-tuned" / "results_row.md").read_text("utf-8")
    assert ", started from soft/network |" in row
    digest = checkpoint.read_card(tmp_path / "soft" / "network")["sha256"][:8]
    states = {path.name for path in tmp_path.glob("*.0.safetensors")}
    assert {"soft.0.safetensors", "hard.0.safetensors"} < states  # as they have always been
    assert f"soft-tuned-speaker-s01-from-{digest}.0.safetensors" in states


def test_what_is_tuned_was_taught_with_this_runs_settings_and_start(voices, tmp_path):
    crowd, other = voices
    options = options_of(tmp_path, corpora={"toy": crowd, "other": other}, folds=("1",))
    options = replace(options, method="soft-tuned")
    (first,) = dusha_crowd.main(options)
    assert first.folder.name == "soft-tuned"
    with pytest.raises(CheckpointError, match=r"soft\.0\.safetensors"):
        dusha_crowd.main(replace(options, seed=1))
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "soft" / "network", copy)
    dusha_crowd.main(replace(options, init=copy))
    digest = checkpoint.read_card(copy)["sha256"][:8]
    assert (tmp_path / f"soft-from-{digest}.0.safetensors").exists()
    card = checkpoint.read_card(tmp_path / "soft" / "network")
    assert card["started_from"] == f"{tmp_path.name}/copy"


def test_a_crowd_and_the_other_corpus_share_no_recordings(voices, tmp_path):
    crowd, _ = voices
    twin = replace(crowd, name="twin", votes=None)
    options = options_of(tmp_path, corpora={"toy": crowd, "twin": twin}, allow_shared_speakers=True)
    with pytest.raises(SplitError, match=r"toy and twin share 24 recording.* leave them out"):
        dusha_crowd.main(options)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_domain_to_learn_from_and_a_checkpoint_to_tune_are_asked_for(voices, released, tmp_path):
    corpus = experiments.load(released)
    with pytest.raises(CheckpointError, match="podcast-tune needs --init FOLDER"):
        dusha_table_3.run("podcast-tune", corpus, options_of(tmp_path))
    crowd_alone = corpus.select(corpus.utterances.index[corpus.utterances["domain"] == "crowd"])
    for known in (voices[1], crowd_alone):
        with pytest.raises(CorpusError, match=r"learns from Dusha's podcast part.*--method dusha"):
            dusha_table_3.run("podcast", known, options_of(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_a_crowd_taught_is_tuned_on_podcasts(released, tmp_path):
    corpus = experiments.load(released)
    dusha_table_3.run("crowd", corpus, options_of(tmp_path))
    (folder,) = (tmp_path / "crowd").glob("checkpoint-*")
    whole, *_ = dusha_table_3.run("podcast-tune", corpus, options_of(tmp_path, init=folder))
    note = f"training started from the checkpoint crowd/{folder.name}"
    assert whole.report.notes[0] == note


def test_a_crowd_needs_votes_and_another_corpus(voices, tmp_path):
    crowd, other = voices
    with pytest.raises(CorpusError, match="one corpus with votes"):
        dusha_crowd.main(options_of(tmp_path, corpora={"toy": other}))
    with pytest.raises(CorpusError, match="one corpus with votes"):
        dusha_crowd.main(options_of(tmp_path, corpora={"b": other, "toy": crowd}))


def test_a_network_of_many_corpora_is_asked_about_one_it_never_met_and_tuned_on_another(
    voices, tmp_path
):
    taught, other = (replace(corpus, votes=None) for corpus in voices)
    asked = replace(other, name="emodb")  # never learned from, by its name
    corpora = {"toy": taught, "emodb": asked}
    (result,) = networks_zero_shot.main(options_of(tmp_path / "many", corpora=corpora))
    page = result.report.to_markdown()
    assert len(read_table(result.folder / "predictions.csv")) == len(asked)
    assert "learned from toy" in page
    assert "515,425 parameters" in page  # 514,909 with 4 outputs; 129 each of 4 more
    network = tmp_path / "many" / "dusha"
    _, card = checkpoint.load(network)
    assert card["labels"] == list(EKMAN_8)
    assert [part["name"] for part in card["corpora"]] == ["toy"]
    tuned = options_of(tmp_path / "tuned", init=network, folds=("1",))
    (found,) = dusha_table_3.run("tuned", other, tuned)
    assert "training started from the checkpoint many/dusha" in found.report.notes
    with pytest.raises(CheckpointError, match="tuned needs --init FOLDER"):
        dusha_table_3.run("tuned", other, options_of(tmp_path))


def test_a_network_needs_something_to_learn_from_and_something_to_ask_about(voices, tmp_path):
    with pytest.raises(CorpusError, match="one of emodb, urdu"):
        networks_zero_shot.main(options_of(tmp_path, corpora={"toy": voices[0]}))


def test_clips_of_several_corpora_stand_behind_each_other_under_their_labels(voices, tmp_path):
    parts = [clips_of(corpus, dusha_networks.OURS, options_of(tmp_path)) for corpus in voices]
    whole = joined(parts)
    assert len(whole.spectrograms) == sum(len(part.corpus) for part in parts)
    for part in parts:
        for row, id_ in enumerate(part.corpus.utterances.index):
            there = whole.corpus.utterances.index.get_loc(f"{part.corpus.name}/{id_}")
            np.testing.assert_array_equal(whole.spectrograms[there], part.spectrograms[row])
            assert whole.lengths[there] == part.lengths[row]
            assert whole.fingerprints[f"{part.corpus.name}/{id_}"] == part.fingerprints[id_]
