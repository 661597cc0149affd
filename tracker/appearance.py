"""What objects look like, where an embedder says so: a mean unit vector per track, and how unlike a detection is.

The mean follows slowly (`embedding_s`), less where an object is partly covered, so that what lies over it is not learnt
as its looks. Looks are a soft cost, never a gate: two equal dishes look alike.
"""

from __future__ import annotations

import numpy as np

from tracker.kalman import Floats
from tracker.settings import TrackerSettings
from tracker.table import Rows, TrackTable


def unlikeness(table: TrackTable, rows: Rows, embeddings: Floats, columns: Rows) -> Floats:
    """Return 1 - cosine, at most 1, of the pairs (P,) of tracks `rows` and detections `columns`; 0 where unknown.

    Args:
        table: the tracks.
        rows: (P,) tracks.
        embeddings: (D, M) unit vectors of the detections.
        columns: (P,) detections.
    """
    if table.embedding.shape[0] != embeddings.shape[0]:
        return np.zeros(rows.shape[0])
    looks = table.embedding.take(rows, axis=1)
    cosine = np.add.reduce(looks * embeddings.take(columns, axis=1), axis=0)
    known = np.add.reduce(looks * looks, axis=0) > 0.0
    return np.where(known, 1.0 - np.maximum(cosine, 0.0), 0.0)


def learn_looks(
    table: TrackTable, column: Rows, embeddings: Floats, elapsed_s: Floats, settings: TrackerSettings
) -> None:
    """Let the mean looks of the matched tracks follow their detections.

    Args:
        table: the tracks.
        column: (N,) the detection of each track, -1 for none.
        embeddings: (D, M) unit vectors of the detections.
        elapsed_s: (N,) seconds since each track was matched before.
        settings: `embedding_s`.
    """
    table.embed(embeddings.shape[0])
    rows = (column >= 0).nonzero()[0]
    new, old = embeddings.take(column.take(rows), axis=1), table.embedding.take(rows, axis=1)
    share = (1.0 - np.exp(-elapsed_s[rows] / settings.embedding_s)) * (1.0 - table.covered[rows]) ** 2
    share[np.add.reduce(old * old, axis=0) == 0.0] = 1.0
    mean = old + share * (new - old)
    table.embedding[:, rows] = mean / np.maximum(np.sqrt(np.add.reduce(mean * mean, axis=0)), 1e-9)
