"""Corpora by name: each loads from the folder it was unpacked into, and says what is missing."""

from collections.abc import Callable
from dataclasses import dataclass

from affekt.corpora import (
    aesdd,
    afew,
    aibo,
    asvp_esd,
    banglaser,
    cmu_mosei,
    crema_d,
    daic_woz,
    dusha,
    earkick,
    emodb,
    emov_db,
    emovo,
    enterface,
    esd,
    generic,
    hindi,
    hume_prosody,
    iemocap,
    jl,
    label_studio,
    lssed,
    masc,
    meld,
    msp_improv,
    msp_podcast,
    nemo,
    ogvc,
    ravdess,
    rml,
    savee,
    studies,
    tess,
    toloka,
    toy,
    urdu,
    zed,
)
from affekt.corpora.dusha import experiments
from affekt.corpora.tree import CheckReport
from affekt.corpus import Corpus
from affekt.exceptions import CorpusError

__all__ = ["CORPORA", "CheckReport", "CorpusSource", "source"]


@dataclass(frozen=True)
class CorpusSource:
    """How to get a corpus from its folder.

    Attributes:
        title: one line for lists.
        load: `load(root, ...)` -> Corpus; further keywords are the corpus' own.
        check: `check(root)` -> CheckReport.
    """

    title: str
    load: Callable[..., Corpus]
    check: Callable[..., CheckReport]


CORPORA: dict[str, CorpusSource] = {
    "crema-d": CorpusSource(
        "7442 clips, 91 actors, 6 emotions, English, with votes", crema_d.load, crema_d.check
    ),
    "ravdess": CorpusSource(
        "1440 clips, 24 actors, 8 emotions, English", ravdess.load, ravdess.check
    ),
    "nemo": CorpusSource("4481 clips, 9 actors, 6 emotions, Polish", nemo.load, nemo.check),
    "tess": CorpusSource("2800 clips, 2 actors, 7 emotions, English", tess.load, tess.check),
    "emovo": CorpusSource("588 clips, 6 actors, 7 emotions, Italian", emovo.load, emovo.check),
    "emodb": CorpusSource("535 clips, 10 actors, 7 emotions, German", emodb.load, emodb.check),
    "urdu": CorpusSource("400 clips, 29 speakers, 4 emotions, Urdu", urdu.load, urdu.check),
    "dusha": CorpusSource(
        "304,000 clips, acted and podcasts, 5 answers, Russian, with 1.7 M votes",
        dusha.load,
        dusha.check,
    ),
    "dusha-manifests": CorpusSource(
        "what Dusha's experiments read: manifests with features or recordings, 4 emotions",
        experiments.load,
        experiments.check,
    ),
    "earkick": CorpusSource(
        "348 clips, 3 annotators, 6 emotions in 4 steps, votes and ratings",
        earkick.load,
        earkick.check,
    ),
    "iemocap": CorpusSource(
        "10,039 turns, 10 actors, 10 emotions, English, each evaluator's votes and ratings",
        iemocap.load,
        iemocap.check,
    ),
    "msp-podcast": CorpusSource(
        "turns of podcasts, 9 emotions, English, each rater's votes and ratings",
        msp_podcast.load,
        msp_podcast.check,
    ),
    "msp-improv": CorpusSource(
        "8438 turns, 12 actors, 5 emotions, English, each rater's votes and ratings",
        msp_improv.load,
        msp_improv.check,
    ),
    "cmu-mosei": CorpusSource(
        "sentences of YouTube monologues, 6 emotions rated 0 to 3, English",
        cmu_mosei.load,
        cmu_mosei.check,
    ),
    "lssed": CorpusSource(
        "147,025 utterances, 820 people, 11 emotions, English", lssed.load, lssed.check
    ),
    "daic-woz": CorpusSource(
        "interviews of 189 people, depressed or not, English, their turns as utterances",
        daic_woz.load,
        daic_woz.check,
    ),
    "meld": CorpusSource(
        "13,708 utterances of a series, 7 emotions, English, with films", meld.load, meld.check
    ),
    "aibo": CorpusSource(
        "chunks of 51 children's talk to a robot, 5 or 2 states, German", aibo.load, aibo.check
    ),
    "enterface": CorpusSource(
        "1293 films, 44 people, 6 emotions, English", enterface.load, enterface.check
    ),
    "rml": CorpusSource("720 films, 8 people, 6 emotions, 6 languages", rml.load, rml.check),
    "afew": CorpusSource(
        "clips of films in a tree of part/emotion/clip, 7 emotions", afew.load, afew.check
    ),
    "ravdess-song": CorpusSource(
        "ravdess with its singing: 2452 clips",
        ravdess.load_with_song,
        ravdess.check_with_song,
    ),
    "emov-db": CorpusSource(
        "about 6,900 clips, 4 speakers, 4 emotions and sleepiness, English",
        emov_db.load,
        emov_db.check,
    ),
    "jl": CorpusSource(
        "2400 clips, 4 speakers, 5 emotions and 5 attitudes, English", jl.load, jl.check
    ),
    "savee": CorpusSource("480 clips, 4 men, 7 emotions, English", savee.load, savee.check),
    "esd": CorpusSource(
        "35,000 clips, 20 speakers, 5 emotions, Mandarin and English", esd.load, esd.check
    ),
    "asvp-esd": CorpusSource(
        "about 14,000 clips of speech and other sounds of voices, 12 emotions, several languages",
        asvp_esd.load,
        asvp_esd.check,
    ),
    "ogvc": CorpusSource(
        "players' voice chat with votes and ratings, and its lines acted, 8 emotions, Japanese",
        ogvc.load,
        ogvc.check,
    ),
    "studies": CorpusSource(
        "5689 clips, a teacher and two students, 4 emotions, Japanese", studies.load, studies.check
    ),
    "aesdd": CorpusSource("604 clips, 6 actors, 5 emotions, Greek", aesdd.load, aesdd.check),
    "masc": CorpusSource("25,636 clips, 68 speakers, 5 emotions, Mandarin", masc.load, masc.check),
    "hume-prosody": CorpusSource(
        "clips with nine emotions rated from 0 to 1, ComParE 2023",
        hume_prosody.load,
        hume_prosody.check,
    ),
    "banglaser": CorpusSource(
        "1467 clips, 34 speakers, 5 emotions, Bangla", banglaser.load, banglaser.check
    ),
    "hindi": CorpusSource("2800 clips, 8 speakers, 7 emotions, Hindi", hindi.load, hindi.check),
    "zed": CorpusSource(
        "180 recordings of talk with the borders of one emotion each, 4 emotions, English",
        zed.load,
        zed.check,
    ),
    "label-studio": CorpusSource(
        "any recordings: a Label Studio JSON export, votes and ratings",
        label_studio.load,
        label_studio.check,
    ),
    "toloka": CorpusSource(
        "any recordings: votes as crowd-kit or Toloka write them (task, worker, label)",
        toloka.load,
        toloka.check,
    ),
    "affekt": CorpusSource(
        "any recordings, in a folder of Affekt's own format: card.json and tables",
        generic.load_written,
        generic.check_written,
    ),
    "csv": CorpusSource(
        "any recordings, listed in a table: file, label[, speaker, …]",
        generic.load_csv,
        generic.check_csv,
    ),
    "folder": CorpusSource(
        "any recordings, a folder for each label: [speaker/]label/name.wav",
        generic.load_folder,
        generic.check_folder,
    ),
    "toy": CorpusSource("72 synthetic clips, 6 speakers, 4 emotions", toy.load, toy.check),
}


def source(name: str) -> CorpusSource:
    """Look a corpus up.

    Raises:
        CorpusError: there is none of this name; the message lists those there are.
    """
    if name not in CORPORA:
        raise CorpusError(f"no corpus {name!r}: there are {', '.join(CORPORA)}")
    return CORPORA[name]
