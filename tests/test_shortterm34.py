"""The 34 features against pyAudioAnalysis and against the formulas written out."""

from collections import Counter

import numpy as np
import pytest

import shortterm34_inputs
from affekt import audio
from affekt.features import shortterm34
from affekt.features.filters34 import filters34
from shortterm34_inputs import FIRST_CLIP, VARIANTS, noise

speech = pytest.fixture(scope="module")(shortterm34_inputs.speech)


# fmt: off
# pyAudioAnalysis 0.3.14 with numpy 2.4.0 and scipy 1.17.1, on the bundled example's first clip:
#   x = 32768.0 * affekt.audio.load("crema-d-excerpt.ogg")[:34_704]
#   ShortTermFeatures.feature_extraction(x, 16_000, window, step, deltas=False)[0][:, frame]
# keyed by (window, step, frame), window and step in samples; pauses and speech
SPEECH = {
    (3200, 1600, 0): [
        0.0237574242, 1.601707914e-05, 3.219372624, 0.1046318576, 0.2027830244, 0.03760017369, 0,
        0.026875, -34.64288511, 3.82224558, 1.353085858, 0.7336135837, 0.134723355, 0.2707775187,
        0.1335085315, 0.2091186333, 0.01681208211, -0.1111803932, -0.1181957433, -0.1994389907,
        -0.04309228865, 0.03147428023, 0.07359745717, 0.06980946239, 0.02800232144, 0.05020827519,
        0.06022235696, 0.01440904499, 0.0007964371011, 0.004913043324, 0.03347446823,
        0.06140101861, 0.02005802354, 0.02412634436,
    ],
    (3200, 1600, 1): [
        0.02782119412, 1.330988741e-05, 3.199463178, 0.1253891097, 0.2130703889, 0.1008817779,
        0.003319841291, 0.02875, -33.43209727, 3.416260054, 0.5081674261, 0.6017159158,
        0.1109258661, 0.475171291, 0.208940668, 0.03673398281, 0.02159105819, -0.01038729149,
        -0.08877081941, -0.194101947, -0.06522800558, 0.02920140262, 0.02059787486, 0.1006374682,
        0.06275522838, 0.01567876054, 0.04334606622, 0.05003318791, 0.001233631314, 0.03088776865,
        0.04155936276, 0.04934907798, 0.04045366608, 0.0242629797,
    ],
    (3200, 1600, 7): [
        0.2253829322, 0.04890829149, 2.9232723, 0.3159281359, 0.2332625983, 1.828747514,
        0.001067733074, 0.436875, -21.13201739, -0.09400123744, -1.262053133, 0.6511150727,
        -0.4882235863, -0.4697630924, -0.4412671266, -0.8072231244, 0.9792948326, 0.6308090264,
        -0.01566951631, -0.3706362858, -0.1184300758, 0.0007756956012, 0.0005698506737,
        0.0001454177146, 0.0004003526585, 0.001374513635, 0.0002470195744, 0.0003158821047,
        0.0003069107787, 0.001986851475, 0.01413527461, 0.0003165182871, 0.0008731114896,
        0.003758719233,
    ],
    (3200, 1600, 13): [
        0.2238199437, 0.002180435654, 2.636991404, 0.321337776, 0.2469022729, 1.939780186,
        0.001813575966, 0.344375, -24.09092854, -0.3622034345, -0.8975382929, 0.7908957652,
        -0.6107696844, 0.03999119044, 0.1568977678, -0.2173740283, 0.03570682002, -0.3732170454,
        0.2867821994, 0.1398279239, 0.1522470999, 0.0009580559701, 0.001684878069, 0.002154958005,
        0.002447172608, 0.001366979948, 0.001237146574, 0.001376206326, 0.003322605189,
        0.002345100639, 0.0004973530694, 0.003109673874, 0.002053029653, 0.0008147991711,
    ],
    (3200, 1600, 19): [
        0.05220381369, 1.429872988e-05, 3.248412878, 0.1428495958, 0.2424767711, 0.1009210631,
        0.003437722883, 0.030625, -33.47238217, 3.711244947, 0.6127910347, 0.4933059271,
        0.2327286808, 0.2659188125, 0.02931368598, 0.09879800708, -0.2019769258, -0.1678403061,
        -0.09286854203, -0.1052075733, -0.09111353594, 0.06256753867, 0.03029146419, 0.03127046156,
        0.01303913366, 0.02733353224, 0.004053892982, 0.0623883075, 0.005119617917, 0.05286020491,
        0.09995479666, 0.03607695077, 0.02292682877, 0.02670513073,
    ],
    (480, 160, 0): [
        0.03131524008, 1.501954661e-05, 2.922244554, 0.1516237338, 0.2294888903, 0.1628047207, 0,
        0.02916666667, -35.49566859, 2.786656397, 0.5818701853, 0.585834341, 0.3056437104,
        0.3257182524, 0.02518159705, -0.06655312933, -0.01523241722, 0.003610301721, -0.1331849222,
        -0.02799040907, 0.1692350578, 0.004236622413, 0.01133994746, 0.000222083984, 0.1836225612,
        0.0005905715265, 0.002027076789, 0.0004115284173, 0.006138419374, 0.0004512966718,
        0.005304059664, 0.07843828289, 0.0003608056835, 0.05238168848,
    ],
    (480, 160, 60): [
        0.08350730689, 0.03126821831, 3.165567468, 0.2206188135, 0.2322525558, 0.8010516777,
        0.005205046589, 0.175, -24.92528837, 2.378992239, -1.950376876, 0.7678229841,
        -0.06679969588, 0.02941351077, -0.03847727634, -1.889759142, -0.3165177428, 0.5972795392,
        0.3643880857, 0.2888713743, 0.2031030566, 0.001160241691, 0.001465863289, 0.0006303110499,
        0.002520624859, 0.0002049530485, 0.003346591401, 0.007247677138, 0.03139284731,
        0.0649941911, 0.08517259384, 0.002939566955, 0.0008259333638, 0.02761408384,
    ],
    (480, 160, 130): [
        0.1878914405, 0.006620852096, 2.889674453, 0.2703422857, 0.205147109, 1.099386634,
        0.004590393743, 0.2041666667, -25.75015792, -0.3665712431, -1.467585888, 0.6176362265,
        -0.2470136372, -0.5799702979, 0.3368501749, -0.2689234288, -0.122743644, 0.2297511891,
        0.04545762228, 0.4665785732, 0.3437504715, 0.004849752291, 0.002358186777, 0.009334643124,
        0.01008697036, 0.006472861469, 0.02904508663, 0.003596254662, 0.003133420706,
        0.007388383434, 0.02240163127, 0.01069374173, 0.001788992021, 0.008013958985,
    ],
    (801, 333, 0): [
        0.025, 2.002554436e-05, 3.073812015, 0.09096683725, 0.1854265124, 0.02971050077, 0, 0.0225,
        -36.51732385, 3.816109289, 1.404016576, 0.9385946442, 0.09317585535, 0.3473727004,
        0.1184019309, 0.1743693537, 0.2572967489, 0.0312746684, 0.1862062989, -0.3400000703,
        -0.1835981069, 0.004402786292, 0.0001234832703, 0.05607791413, 0.0007840365742,
        0.07557458542, 0.003041802402, 0.1001784692, 3.629989001e-05, 0.0004734597321,
        0.008613338397, 0.05915642232, 0.0008069139937, 0.03479122944,
    ],
    (801, 333, 50): [
        0.32, 0.00304346971, 3.199748961, 0.3657097322, 0.3057692471, 2.217792296, 0.002093300111,
        0.695, -25.29384436, 1.548424741, -1.021566428, 0.5570593862, 0.06411722247, -0.3511453613,
        0.4398680231, -0.3672855069, -0.07710795876, -0.4110006982, -0.1306447778, -0.1259181965,
        0.06019399853, 0.0182641841, 0.003397115906, 0.01335748477, 0.006778627666, 0.01549194274,
        0.02227753037, 0.03597037265, 0.002400171748, 0.003101253183, 0.00444381822,
        0.004243789002, 0.003192444297, 0.00996115132,
    ],
}

# spec 5.5: two tones swelling over 1 s, 3200/1600: pyAudioAnalysis frame 0 and 1, its copy 0 and 1
TONES = np.array([
    (0.079087215, 0.075023445, 0.079087215, 0.075023445),
    (0.12004914, 0.13567247, 0.11002582, 0.12434471),
    (3.3181446, 3.3183403, 3.3181444, 3.3183402),
    (0.145119, 0.13540793, 0.14511899, 0.13540793),
    (0.14634178, 0.13435774, 0.14634178, 0.13435773),
    (0.90213154, 0.85675719, 0.90213142, 0.85675707),
    (0, 0.00062010606, 0, 0.0006200926),
    (0.154375, 0.154375, 0.154375, 0.154375),
    (-27.059807, -27.119561, -27.178651, -27.238323),
    (0.94085847, 1.3238587, 0.94054551, 1.3233918),
    (-1.4556804, -0.98926589, -1.4552719, -0.98896908),
    (0.25989307, 0.72411142, 0.2597034, 0.72372216),
    (-1.7782373, -1.8021313, -1.7778945, -1.8017506),
    (-1.3146825, -1.5333974, -1.3145794, -1.533249),
    (1.0845022, 1.0268736, 1.0844498, 1.0268238),
    (0.89083443, 1.0130338, 0.89075597, 1.0128766),
    (0.092362556, 0.18730121, 0.092394465, 0.18730223),
    (0.62687047, 0.60758648, 0.62683659, 0.60757911),
    (-0.31740069, -0.38757726, -0.31737647, -0.3875098),
    (-1.14787, -1.1746545, -1.1478418, -1.1746323),
    (-0.16006208, -0.13800405, -0.16005133, -0.13801881),
    (2.857877e-4, 2.4568571e-4, 2.857877e-4, 2.4568571e-4),
    (8.6088322e-6, 6.7604988e-6, 8.6088322e-6, 6.7604988e-6),
    (3.0065856e-6, 2.7653278e-6, 3.0065856e-6, 2.7653278e-6),
    (2.2969221e-6, 2.3245998e-6, 2.2969221e-6, 2.3245998e-6),
    (3.4925882e-6, 3.6490493e-6, 3.4925882e-6, 3.6490493e-6),
    (2.190791e-5, 2.0093414e-5, 2.190791e-5, 2.0093414e-5),
    (1.7207352e-5, 1.6264499e-5, 1.7207352e-5, 1.6264499e-5),
    (2.8827413e-6, 2.8737181e-6, 2.8827413e-6, 2.8737181e-6),
    (1.8380688e-6, 2.2486949e-6, 1.8380688e-6, 2.2486949e-6),
    (2.3498751e-6, 3.4798068e-6, 2.3498751e-6, 3.4798068e-6),
    (3.6296462e-6, 5.2055886e-6, 3.6296462e-6, 5.2055886e-6),
    (1.8736507e-5, 1.9029282e-5, 1.8736507e-5, 1.9029282e-5),
    (7.7145181e-5, 6.6093704e-5, 7.7145181e-5, 6.6093704e-5),
])


# fmt: on


def tones():
    n = np.arange(16_000)
    swelling = 8000 * np.sin(2 * np.pi * 440 * n / 16_000) * (0.5 + 0.5 * n / 16_000)
    steady = 3000 * np.sin(2 * np.pi * 1234.5 * n / 16_000 + 0.3)
    return np.round(swelling + steady + 500).astype(np.int16) / 32768


def written_out(samples, sample_rate, n_window, n_hop, variant):
    """The features as spec 5 has them, frame by frame, bin by bin."""
    samples = np.asarray(samples, dtype=np.float64)
    copy, clean = variant == "paa_copy", variant == "clean"
    epsilon = 1e-8 if copy else np.finfo(float).eps
    centred = samples - samples.mean()
    scaled = centred / (abs(samples).max() if copy else abs(centred).max() + 1e-10)
    rows, before = [], None
    for start in range(0, scaled.size - n_window + 1, n_hop):
        frame = scaled[start : start + n_window]
        spectrum = abs(np.fft.fft(frame))[: n_window // 2] / (n_window // 2)
        before = spectrum if before is None else before
        rows.append(
            [
                abs(np.diff(np.sign(frame))).sum() / 2 / (n_window - 1),
                (frame**2).mean(),
                entropy(frame**2, epsilon),
                *centroid_and_spread(spectrum, sample_rate, epsilon),
                entropy(spectrum**2, epsilon),
                (
                    (spectrum / (spectrum + epsilon).sum() - before / (before + epsilon).sum()) ** 2
                ).sum(),
                np.nonzero(np.cumsum(spectrum**2) + epsilon > 0.9 * (spectrum**2).sum())[0][0]
                / spectrum.size,
                *cepstra(spectrum, sample_rate / (n_window if clean else n_window // 2), epsilon),
            ]
        )
        if clean:
            chroma = right_chroma(spectrum, sample_rate / n_window, epsilon)
        else:
            chroma = last_bin_chroma(spectrum, sample_rate, copy)
        rows[-1] += [*chroma, np.std(chroma)]
        before = spectrum
    return np.array(rows)


def entropy(power, epsilon):
    length = power.size // 10
    shares = np.array([power[i * length : (i + 1) * length].sum() for i in range(10)])
    shares /= power.sum() + epsilon
    return -(shares * np.log2(shares + epsilon)).sum()


def centroid_and_spread(spectrum, sample_rate, epsilon):
    frequency = np.arange(1, spectrum.size + 1) * sample_rate / (2 * spectrum.size)
    weight = spectrum / spectrum.max()
    centroid = (frequency * weight).sum() / (weight.sum() + epsilon)
    spread = np.sqrt(((frequency - centroid) ** 2 * weight).sum() / (weight.sum() + epsilon))
    return centroid / (sample_rate / 2), spread / (sample_rate / 2)


def edges():
    frequencies = [133.33 + 200 / 3 * i for i in range(13)]
    return frequencies + [frequencies[-1] * 1.0711703**i for i in range(1, 30)]


def cepstra(spectrum, bin_width, epsilon):
    logs = []
    for low, centre, high in zip(edges(), edges()[1:], edges()[2:], strict=False):
        hertz = np.arange(spectrum.size) * bin_width
        weight = np.interp(hertz, [low, centre, high], [0, 2 / (high - low), 0])
        logs.append(np.log10((weight * spectrum).sum() + epsilon))
    turns = np.cos(np.pi * np.outer(np.arange(13), np.arange(40) + 0.5) / 40)
    return np.sqrt(2 / 40) * np.where(np.arange(13) == 0, np.sqrt(0.5), 1) * (turns @ logs)


def last_bin_chroma(spectrum, sample_rate, whole_hertz):
    n_bins = spectrum.size
    hertz = [(k + 1) * sample_rate / (2 * n_bins) for k in range(n_bins)]
    if whole_hertz:
        hertz = np.floor(hertz)
    number = [int(np.round(12 * np.log2(f / 27.5))) for f in hertz]
    bins_of = Counter(number)
    count = [bins_of[one] for one in number]
    places = np.zeros(n_bins)
    for k in range(n_bins):
        places[number[k]] = spectrum[k] ** 2
    chroma = np.zeros(12)
    for m in range(n_bins):
        chroma[m % 12] += places[m] / count[number[m]]
    return chroma / (spectrum**2).sum()


def right_chroma(spectrum, bin_width, epsilon):
    chroma = np.zeros(12)
    for k in range(1, spectrum.size):
        chroma[int(np.round(12 * np.log2(k * bin_width / 27.5))) % 12] += spectrum[k] ** 2
    return chroma / (chroma.sum() + epsilon)


def test_tones_equal_the_golden_table():
    ours = [shortterm34(tones(), 16_000, variant=variant) for variant in ("paa", "paa_copy")]
    assert [features.shape for features in ours] == [(9, 34)] * 2
    found = np.stack([features[frame] for features in ours for frame in (0, 1)], axis=1)
    np.testing.assert_allclose(found, TONES, rtol=5e-8, atol=5e-9)


@pytest.mark.parametrize(("window", "step", "frame"), list(SPEECH))
def test_real_speech_equals_pyaudioanalysis(speech, window, step, frame):
    clip = speech[:FIRST_CLIP]
    ours = shortterm34(clip, 16_000, window=window / 16_000, hop=step / 16_000)
    np.testing.assert_allclose(ours[frame], SPEECH[window, step, frame], rtol=0, atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_whole_example_equals_the_formulas_written_out(speech, variant):
    ours = shortterm34(speech, 16_000, variant=variant)
    assert len(ours) == 195, "more frames than are computed at once"
    expected = written_out(speech, 16_000, 3200, 1600, variant)
    # digital silence between the clips is where rounding shows most
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("sample_rate", "n_window", "n_hop"),
    [(16_000, 198, 77), (16_000, 481, 480), (22_050, 2205, 3000), (8_000, 240, 80)],
)
def test_any_window_step_and_rate_equal_the_formulas(variant, sample_rate, n_window, n_hop):
    waveform = noise(9_000)
    ours = shortterm34(
        waveform,
        sample_rate,
        window=n_window / sample_rate,
        hop=n_hop / sample_rate,
        variant=variant,
    )
    expected = written_out(waveform, sample_rate, n_window, n_hop, variant)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "recording", ["emodb/wav/03a01Wa.flac", "crema-d/AudioWAV/1001_IEO_ANG_HI.ogg"]
)
def test_real_recordings_equal_the_formulas(shared, recording, variant):
    waveform = audio.load(shared / "corpora" / recording)
    expected = written_out(waveform, 16_000, 3200, 1600, variant)
    ours = shortterm34(waveform, 16_000, variant=variant)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


def test_the_mel_bank_has_the_known_sum():
    mel = filters34(3200, 16_000, "paa").mel
    assert len(mel) == 40
    assert sum(one.weights.sum() for one in mel) == pytest.approx(4.000252899622515, abs=1e-12)


@pytest.mark.parametrize(("variant", "factor"), [("clean", 1.0), ("paa", 0.5), ("paa_copy", 0.5)])
def test_mel_filters_peak_where_they_should_or_at_half_of_it(variant, factor):
    mel = filters34(16_000, 16_000, variant).mel  # bins of 1 Hz
    peaks = [one.first + one.weights.argmax() for one in mel]
    np.testing.assert_allclose(peaks, np.array(edges()[1:-1]) * factor, atol=1)
