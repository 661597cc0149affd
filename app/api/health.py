"""How the appliance does."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from pydantic import Field

from app.api.operation import Call, Operation, Reply
from app.api.shapes import Shape


class HealthShape(Shape):
    """The appliance at this moment; what is not known is null."""

    status: str = Field(description="ok, or waiting while a lane has not decided a frame lately", examples=["ok"])
    version: str = Field(description="Of the program")
    site: str = Field(description="What people call this place")
    waiting_for: list[str] = Field(description="Why it is waiting, a line per lane")
    lanes: int = Field(description="How many lanes there are")
    viewers: int = Field(description="Streams that are open")
    viewers_limit: int = Field(description="Streams that may be open")
    outbox_depth: int = Field(description="Events that some consumer has not settled yet")
    storage_free_bytes: int | None = Field(description="Free space where the store is")


def program_version() -> str:
    """Return the version of the program."""
    try:
        return version("traylane")
    except PackageNotFoundError:
        return "0"


def _health(call: Call) -> Reply:
    services = call.services
    waiting = services.site.not_ready()
    return Reply(
        HealthShape(
            status="waiting" if waiting else "ok",
            version=program_version(),
            site=services.site.name,
            waiting_for=waiting,
            lanes=len(services.site.lane_ids),
            viewers=services.viewers.open,
            viewers_limit=services.viewers.limit,
            outbox_depth=services.store.outbox_depth(),
            storage_free_bytes=services.site.free_bytes(),
        )
    )


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (Operation("health", "GET", "/health", "How the appliance does", "health", _health, HealthShape),)
