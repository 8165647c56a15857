"""Which topics there are: derived from the rows of `contexts.py`, created before anything runs, drift refused."""

import msgspec


class Feed(msgspec.Struct, frozen=True):
    """A topic of what the outside said: `days` of retention (None is for ever), flushed record by record or not."""

    name: str
    message: type
    days: int | None = None
    is_flushed: bool = True
