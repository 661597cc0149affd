"""The gallery: what today's dishes look like to an embedder, and how sure a look-up in it is.

A dish is a handful of *views*: unit vectors of its taught photos, turned and scaled. A crop is compared with all of
them; the similarity of a dish is that of its nearest view (cosine). From there to probabilities

    p(dish k)  = exp(s_k / T) / Z        p(unknown) = exp(threshold / T) / Z

(open-set recognition by a rejection logit; a softmax over cosines as in matching networks, Vinyals 2016). Threshold and
temperature are those that make *leave-one-class-out* likeliest: each dish in turn is taken out of the gallery, and its
own views then must come out as unknown; with it in, as themselves. Views of one photo are nearer to each other than
another plate of the same dish is, by a `gap` that was measured once on development lanes and is taken off first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]

#: Fewer dishes than this tell too little about what the unknown looks like: the shipped calibration is used.
LEAST_DISHES = 5
#: A calibration looks at no more than so many views and dishes.
MOST_QUERIES = 512
#: How much less similar another plate of a dish is to its views than they are to one another.
GAP = 0.22
#: Share of objects that are thought to be on no menu.
UNKNOWN_PRIOR = 0.3
_THRESHOLDS = np.linspace(0.0, 0.95, 39)
_TEMPERATURES = np.geomspace(0.01, 0.25, 18)
#: Galleries of more views than this (about 1500 dishes of one photo) are looked through in two steps, see `match`.
MOST_EXACT, SHORTLIST = 25_000, 200
#: A temperature is never taken to be lower: crops of a lane are worse than photos.
LEAST_TEMPERATURE = 0.03


@dataclass(frozen=True, slots=True)
class Calibration:
    """How similarities become probabilities.

    Attributes:
        threshold: similarity at which a dish and *unknown* are equally likely.
        temperature: similarity that makes one e times likelier than the other.
        lookalike: two dishes more similar than this are confused now and then.
        dishes: number of dishes it was made from; 0: shipped values, since there were too few.
    """

    threshold: float
    temperature: float
    lookalike: float
    dishes: int = 0

    def __post_init__(self) -> None:
        if not (-1.0 <= self.threshold <= 1.0 and 0.0 < self.temperature <= 10.0 and -1.0 <= self.lookalike <= 1.0):
            raise ValueError(f"no calibration of cosines: {self}")


#: Used while a gallery is too small to calibrate on.
SHIPPED = Calibration(threshold=0.66, temperature=0.05, lookalike=0.88)


@dataclass(frozen=True, eq=False)
class Gallery:
    """The views of the taught dishes, by one embedder.

    Attributes:
        embedder: name@version that made the vectors.
        names: (K,) the dishes.
        views: (V, D) float32 unit vectors, those of one dish together, in the order of `names`.
        owner: (V,) int64, rising, index into `names`.
        calibration: see there.
    """

    embedder: str
    names: tuple[str, ...]
    views: Vectors
    owner: NDArray[np.int64]
    calibration: Calibration = SHIPPED
    _means: Vectors | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.views.ndim != 2 or self.owner.shape != (len(self.views),):
            raise ValueError(f"views {self.views.shape} and owner {self.owner.shape} must be (V, D) and (V,)")
        counts = np.bincount(self.owner, minlength=len(self.names)) if len(self.owner) else np.zeros(len(self.names))
        if len(counts) != len(self.names) or (counts == 0).any() or (np.diff(self.owner) < 0).any():
            raise ValueError("each dish needs views, and the views lie in the order of the dishes")
        if len(self.views) and not np.allclose(np.linalg.norm(self.views, axis=1), 1.0, atol=1e-3):
            raise ValueError("views must be unit vectors")
        self.views.flags.writeable = False
        self.owner.flags.writeable = False
        if len(self.views) > MOST_EXACT:
            starts = np.searchsorted(self.owner, np.arange(len(self.names)))
            means = np.add.reduceat(self.views, starts, axis=0) / counts[:, None]
            object.__setattr__(self, "_means", means.astype(np.float32))

    def __len__(self) -> int:
        return len(self.names)

    def match(self, embeddings: Vectors) -> Vectors:
        """Return how similar embeddings (N, D) are to each dish: (N, K) cosines of the nearest view.

        In a gallery of more than `MOST_EXACT` views that is so of the `SHORTLIST` dishes whose mean view is nearest; of
        the others it is the cosine with their views on average, which is less.
        """
        if not len(self.names):
            return np.zeros((len(embeddings), 0), np.float32)
        if self._means is not None:
            return self._match_shortlist(embeddings, self._means)
        near: Vectors = embeddings @ self.views.T
        starts = np.searchsorted(self.owner, np.arange(len(self.names)))
        best: Vectors = np.maximum.reduceat(near, starts, axis=1)
        return best

    def _match_shortlist(self, embeddings: Vectors, means: Vectors) -> Vectors:
        similar: Vectors = embeddings @ means.T
        near = np.argpartition(-similar, SHORTLIST, axis=1)[:, :SHORTLIST]
        for query, dishes, line in zip(embeddings, np.sort(near, axis=1), similar, strict=True):
            low, high = np.searchsorted(self.owner, dishes), np.searchsorted(self.owner, dishes, side="right")
            rows = np.concatenate([np.arange(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)])
            starts = np.concatenate([[0], np.cumsum(high - low)[:-1]])
            line[dishes] = np.maximum.reduceat(self.views[rows] @ query, starts)
        return similar

    def log_posterior(self, similarities: Vectors) -> Floats:
        """Return the logarithms (N, K+1) of how probable each dish is; the last column is *unknown*."""
        return log_posterior(similarities, self.calibration)

    def posterior(self, similarities: Vectors) -> Floats:
        """Return how probable each dish is, (N, K+1); the last column is *unknown*; rows sum to 1."""
        return np.exp(self.log_posterior(similarities))


def make_gallery(embedder: str, dishes: Sequence[tuple[str, Vectors]], calibration: Calibration = SHIPPED) -> Gallery:
    """Return the gallery of dishes with their views (n, D), by name, so that the order of teaching is nothing."""
    ordered = sorted(dishes, key=lambda dish: dish[0])
    names = tuple(name for name, _ in ordered)
    if not ordered:
        return Gallery(embedder, (), np.zeros((0, 1), np.float32), np.zeros(0, np.int64), calibration)
    views = np.concatenate([vectors for _, vectors in ordered]).astype(np.float32)
    owner = np.repeat(np.arange(len(ordered)), [len(vectors) for _, vectors in ordered])
    return Gallery(embedder, names, views, owner.astype(np.int64), calibration)


def log_posterior(similarities: NDArray[np.floating], calibration: Calibration) -> Floats:
    """Return the logarithms (N, K+1) of the posterior of similarities (N, K); see the module.

    >>> even = Calibration(threshold=0.5, temperature=0.1, lookalike=0.9)
    >>> np.exp(log_posterior(np.array([[0.5]]), even)).round(3).tolist()
    [[0.5, 0.5]]
    """
    count = len(similarities)
    rejection = np.full((count, 1), calibration.threshold)
    logits = np.concatenate([np.asarray(similarities, np.float64), rejection], axis=1) / calibration.temperature
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits


def calibrate(gallery: Gallery, gap: float = GAP) -> Calibration:
    """Return the calibration of a gallery from its own views, each dish in turn being unknown.

    Args:
        gallery: with at least `LEAST_DISHES` dishes; otherwise `SHIPPED` comes back.
        gap: how much less similar another plate of the same dish is; see the module.
    """
    if len(gallery) < LEAST_DISHES:
        return SHIPPED
    queries = _spread(len(gallery.views), MOST_QUERIES)
    owner = gallery.owner[queries]
    near: Vectors = gallery.views[queries] @ gallery.views.T
    near[np.arange(len(queries)), queries] = -1.0  # a view is no witness of itself
    starts = np.searchsorted(gallery.owner, np.arange(len(gallery)))
    best = np.maximum.reduceat(near, starts, axis=1).astype(np.float64)
    lines = np.arange(len(queries))
    own = best[lines, owner]
    alone = own <= -1.0  # of a dish with a single view
    own = np.where(alone, 1.0, own) - gap
    best[lines, owner] = -np.inf
    # The strongest rivals hold all the mass that counts; a gallery of thousands is not looked through for each pair.
    rivals = -np.sort(-best, axis=1)[:, : min(16, len(gallery) - 1)]
    threshold, temperature = _likeliest(own, rivals)
    lookalike = float(np.clip(np.quantile(own + gap, 0.1), threshold, 0.999))
    return Calibration(float(threshold), float(temperature), lookalike, len(gallery))


def _likeliest(own: Floats, rivals: Floats) -> tuple[float, float]:
    """Return the threshold and temperature under which own (Q,) and rivals (Q, R) explain themselves best."""
    best = (np.inf, SHIPPED.threshold, SHIPPED.temperature)
    top = rivals[:, 0]
    for temperature in _TEMPERATURES[_TEMPERATURES >= LEAST_TEMPERATURE]:
        crowd = top + temperature * np.log(np.exp((rivals - top[:, None]) / temperature).sum(axis=1))
        for threshold in _THRESHOLDS:
            apart = np.logaddexp(crowd / temperature, threshold / temperature)
            known = np.logaddexp(apart, own / temperature) - own / temperature
            unknown = apart - threshold / temperature
            loss = (1.0 - UNKNOWN_PRIOR) * known.mean() + UNKNOWN_PRIOR * unknown.mean()
            if loss < best[0]:
                best = (float(loss), float(threshold), float(temperature))
    return best[1], best[2]


@dataclass(frozen=True, slots=True)
class Resemblance:
    """How much one dish looks like another: the mean similarity of its views to the other's nearest ones."""

    dish: str
    other: str
    similarity: float


def resemblances(gallery: Gallery, dish: str, views: Vectors) -> list[Resemblance]:
    """Return the dishes of a gallery that views (n, D) of `dish` look like, the most alike first, itself left out."""
    means = gallery.match(views).mean(axis=0)
    order = np.argsort(-means, kind="stable")
    return [Resemblance(dish, gallery.names[i], float(means[i])) for i in order.tolist() if gallery.names[i] != dish]


def lookalikes(gallery: Gallery) -> list[Resemblance]:
    """Return the pairs of dishes that are more alike than the calibration can tell apart, the most alike first."""
    pairs: list[Resemblance] = []
    ends = np.searchsorted(gallery.owner, np.arange(len(gallery) + 1))
    for k, name in enumerate(gallery.names):
        means = gallery.match(gallery.views[ends[k] : ends[k + 1]]).mean(axis=0)
        for other in np.flatnonzero(means[:k] >= gallery.calibration.lookalike).tolist():
            pairs.append(Resemblance(name, gallery.names[other], float(means[other])))
    return sorted(pairs, key=lambda pair: -pair.similarity)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` of `count` indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
