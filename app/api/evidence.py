"""Evidence of a bill: what was kept of it, its clip and crops, and the bill decided again."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from app.api.bills import BillPath, find_bill
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem
from app.api.shapes import BillId, Note, Shape, UtcTime
from app.guard import audit, current_person
from checkout.evidence.archive import Archive, Place
from checkout.evidence.journal import Looked
from checkout.evidence.packet import CLIP, Packet, read_journal, read_packet
from checkout.evidence.rerun import rerun
from core.clock import utc_text

#: A course has at most so many points: more than a small picture can show help nobody.
MOST_POINTS = 100
#: Labels of a course: those that were ever likeliest, and few others.
MOST_LABELS = 4


class CoursePoint(Shape):
    """What an object was thought to be at one moment."""

    t_s: float = Field(description="Seconds of the stream")
    visibility: float = Field(description="Share of it that was seen, 0..1")
    shares: list[float] = Field(description="Probability of each label of the course, in its order")


class EvidenceLine(Shape):
    """One line with what was kept of its object."""

    line_no: int = Field(description="Number on the bill")
    dish: str = Field(description="Name of the dish")
    title: str = Field(description="What people read")
    unit_price: float = Field(description="In the menu's currency")
    confidence: float = Field(description="Of the dish, 0..1")
    crop: str | None = Field(description="Address of its best view; null if none was kept")
    labels: list[str] = Field(description="Of the course; what is missing to 1 is unknown or another dish")
    course: list[CoursePoint] = Field(description="What it was thought to be, over time; empty without a journal")


class EvidenceShape(Shape):
    """What was kept of a bill."""

    bill_id: str = Field(description="The bill")
    lane_id: str = Field(description="Its lane")
    opened_s: float = Field(description="Seconds of the stream")
    closed_s: float = Field(description="Seconds of the stream")
    closed_at: UtcTime = Field(description="UTC, RFC 3339")
    close_reason: str = Field(description="Why it closed")
    model: str = Field(description="NAME@VERSION of the detector")
    config_sha256: str = Field(description="Of the configuration in force")
    clip: str | None = Field(description="Address of the clip; null if none was kept")
    lines: list[EvidenceLine] = Field(description="As the bill closed")
    can_rerun: bool = Field(description="Whether it can be decided again")
    files: dict[str, str] = Field(description="SHA-256 by file name")


class RerunShape(Shape):
    """A bill decided again from its evidence."""

    same: bool = Field(description="Whether it came out as it was")
    decisions: int = Field(description="How many were made")
    differences: list[str] = Field(description="One sentence each; empty if it is the same")


class CropPath(Shape):
    """Which line of which bill."""

    bill_id: BillId
    line_no: int = Field(ge=1, le=100_000, description="Number of the line", examples=[1])


class EraseQuery(Shape):
    """Why."""

    reason: Note = Field(min_length=1, description="Why; it is written down", examples=["asked by the guest"])


class Erased(Shape):
    """What is left."""

    erased: bool = Field(description="Always true")
    files: dict[str, str] = Field(description="SHA-256 of what was there, by file name")


def _archive(call: Call) -> Archive:
    return Archive(call.services.known_config().site.record.evidence.folder)


def _place(call: Call, bill_id: str) -> Place:
    """Return where the evidence of a bill lies.

    Raises:
        ApiProblem: 404, there is no such bill or no evidence of it; 410, it was erased.
    """
    find_bill(call, bill_id)
    places = [one for one in _archive(call).of_bill(bill_id) if call.sees(one.lane_id)]
    if not places:
        told = f"no evidence of bill {bill_id}: it is older than record.evidence.days, still open, or none was kept"
        raise ApiProblem(404, "No evidence", told)
    if places[0].erased:
        raise ApiProblem(410, "Erased", f"the evidence of bill {bill_id} was erased; its hashes are kept")
    return places[0]


def _file(place: Place, packet: Packet, name: str) -> Path:
    if name not in packet.files:
        raise ApiProblem(404, "Not kept", f"{name} of bill {packet.bill_id} was not kept")
    return place.folder / name


def _evidence(call: Call) -> Reply:
    bill_id = call.path_as(BillPath).bill_id
    place = _place(call, bill_id)
    packet = read_packet(place.folder, check=False)
    courses = _courses(place.folder, packet) if packet.journal_whole else {}
    base = f"/api/v1/bills/{bill_id}/evidence"
    lines = []
    for line in packet.lines:
        labels, course = courses.get(line.track_id, ([], []))
        lines.append(
            EvidenceLine(
                line_no=line.line_no,
                dish=line.dish,
                title=packet.dishes[line.dish].title if line.dish in packet.dishes else line.dish,
                unit_price=line.unit_price,
                confidence=line.confidence,
                crop=None if line.crop is None else f"{base}/crops/{line.line_no}",
                labels=labels,
                course=course,
            )
        )
    return Reply(
        EvidenceShape(
            bill_id=bill_id,
            lane_id=packet.lane_id,
            opened_s=packet.opened_s,
            closed_s=packet.closed_s,
            closed_at=utc_text(packet.closed_at_s),
            close_reason=packet.close_reason,
            model=packet.model,
            config_sha256=packet.config_sha256,
            clip=f"{base}/clip" if CLIP in packet.files else None,
            lines=lines,
            can_rerun=packet.journal_whole,
            files=packet.files,
        )
    )


def _courses(folder: Path, packet: Packet) -> dict[int, tuple[list[str], list[CoursePoint]]]:
    """Return for each line's track the labels that mattered and their shares over time, thinned."""
    wanted = {line.track_id for line in packet.lines}
    seen: dict[int, list[tuple[float, float, dict[str, float]]]] = {track_id: [] for track_id in wanted}
    for entry in read_journal(folder, packet):
        if isinstance(entry, Looked):
            for track in entry.tracks.tracks:
                if track.track_id in wanted:
                    seen[track.track_id].append((entry.stream_s, track.visibility, dict(track.posterior)))
    return {track_id: _course(points) for track_id, points in seen.items()}


def _course(points: list[tuple[float, float, dict[str, float]]]) -> tuple[list[str], list[CoursePoint]]:
    step = -(-len(points) // MOST_POINTS) or 1
    kept = points[::step]
    highest: dict[str, float] = {}
    for _, _, shares in kept:
        for label, share in shares.items():
            highest[label] = max(highest.get(label, 0.0), share)
    labels = sorted(highest, key=lambda label: (-highest[label], label))[:MOST_LABELS]
    course = [
        CoursePoint(
            t_s=round(t_s, 3),
            visibility=round(visibility, 3),
            shares=[round(shares.get(label, 0.0), 4) for label in labels],
        )
        for t_s, visibility, shares in kept
    ]
    return labels, course


def _clip(call: Call) -> Reply:
    place = _place(call, call.path_as(BillPath).bill_id)
    return Reply(file=_file(place, read_packet(place.folder, check=False), CLIP), media="video/mp4")


def _crop(call: Call) -> Reply:
    path = call.path_as(CropPath)
    place = _place(call, path.bill_id)
    packet = read_packet(place.folder, check=False)
    return Reply(file=_file(place, packet, f"line-{path.line_no}.jpg"), media="image/jpeg")


def _rerun(call: Call) -> Reply:
    done = rerun(_place(call, call.path_as(BillPath).bill_id).folder)
    told = list(done.differences)
    return Reply(RerunShape(same=not told, decisions=len(done.decisions), differences=told))


def _erase(call: Call) -> Reply:
    bill_id, reason = call.path_as(BillPath).bill_id, call.query_as(EraseQuery).reason
    packet = read_packet(_place(call, bill_id).folder, check=False)
    audit(current_person(), "evidence.erase", bill_id, dict(packet.files), {"reason": reason})
    _archive(call).erase(bill_id, call.by, reason, call.services.clock.utc_s())
    return Reply(Erased(erased=True, files=packet.files))


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    address = "/bills/{bill_id}/evidence"
    gone = (410,)
    return (
        Operation(
            "evidence_get", "GET", address, "What was kept of a bill", "evidence", _evidence, EvidenceShape,
            path=BillPath, problems=gone, tagged=True,
        ),
        Operation(
            "evidence_clip", "GET", address + "/clip", "Seconds around its fullest moment", "evidence", _clip,
            path=BillPath, problems=gone, media=("video/mp4",),
        ),
        Operation(
            "evidence_crop", "GET", address + "/crops/{line_no}", "The best view of a line's object", "evidence",
            _crop, path=CropPath, problems=gone, media=("image/jpeg",),
        ),
        Operation(
            "evidence_rerun", "POST", address + "/rerun", "Decide a bill again", "evidence", _rerun, RerunShape,
            path=BillPath, problems=(409, 410, 422),
            more="From the journal of everything that the policy was told; the same rules must give the same bill.",
        ),
        Operation(
            "evidence_erase", "DELETE", address, "Remove pictures and journal for good; hashes stay", "evidence",
            _erase, Erased, path=BillPath, query=EraseQuery, problems=(410,),
        ),
    )  # fmt: skip
