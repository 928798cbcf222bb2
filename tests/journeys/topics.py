"""Topics of a collection of texts

Wanted: a pile of texts, nobody has read them all. What are they about, which text is about what, and where does a new one
belong?

Learned: count words into a sparse matrix (scikit-learn's CountVectorizer does as well), and `lode.nmf` with the loss for
counts finds parts that add up: columns of words and, for each text, how much of each. The matrix stays sparse. `apply`
gives the parts of a text that was not there. With several restarts `cophenetic` says how far they agree.
"""
import collections
import re

import numpy as np
import scipy.sparse
from pydoc_data.topics import topics as texts  # Python's own manual, 80 texts that are on every machine

import lode

names = sorted(texts)
words = [re.findall(r"[a-z]{4,}", texts[n].lower()) for n in names]
found_in = collections.Counter(w for t in words for w in set(t))
vocabulary = sorted(w for w, n in found_in.items() if 3 <= n <= len(names) * 0.4)
place = {w: i for i, w in enumerate(vocabulary)}


def counts(several):
    at = [(i, place[w]) for i, t in enumerate(several) for w in t if w in place]
    return scipy.sparse.coo_matrix((np.ones(len(at)), zip(*at)), (len(several), len(vocabulary))).tocsr()


X = counts(words)
model = lode.nmf(X, rank=6, loss="kl")
shares, topics = model.factor
print(f"{X.shape[0]} texts, {X.shape[1]} words, {X.nnz} counts; {model.certificate}")
for k in range(6):
    top = [vocabulary[i] for i in np.argsort(-topics[:, k])[:7]]
    print(" ".join(top), " in ", ", ".join(names[i] for i in np.argsort(-shares[:, k])[:3]))

# one topic is about exceptions, and the text on `try` is about it
of_exceptions = int(np.argmax(topics[place["except"]]))
assert "exception" in [vocabulary[i] for i in np.argsort(-topics[:, of_exceptions])[:10]]
new = counts([["raise", "exception", "clause", "except", "handler", "exception"]])
codes = model.apply(new).codes[0]
print("a new text about exceptions:", np.round(codes / codes.sum(), 2))
assert int(np.argmax(codes)) == of_exceptions
