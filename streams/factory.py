"""From a URL in the configuration to a source."""

from __future__ import annotations

from core.clock import Clock
from streams.source import Source, SourceSettings


def make_source(settings: SourceSettings, lane_id: str, clock: Clock) -> Source:
    """Return an unopened source for `settings.url`.

    Args:
        settings: of the source; the URL's scheme chooses the class.
        lane_id: the lane it films.
        clock: the clock that its frames are stamped with.

    Raises:
        ConfigError: the URL's own parameters are wrong.
    """
    if settings.url.startswith("synthetic://"):
        # Rendering textures is heavy to import, and lanes with real cameras never need it.
        from streams.synthetic.source import SyntheticSource

        return SyntheticSource(settings, lane_id, clock)
    from streams.av_source import AvSource

    return AvSource(settings, lane_id, clock)
