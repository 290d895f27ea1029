"""How several recipes teach and ask: a frozen encoder and a head, an encoder that learns, networks
on spectrograms, on frames, on sequences; their folds, data, cards, results and reports.

A recipe is one result in one file of `affekt.recipes`; what two of them share is here.
"""
