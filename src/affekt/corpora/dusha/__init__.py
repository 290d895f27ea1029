"""Dusha: raw annotations -> corpus, votes, and the manifests of the release (spec 1)."""

from affekt.corpora.dusha.corpus import NO_RECORDING, check, load, votes

__all__ = ["NO_RECORDING", "check", "load", "votes"]
