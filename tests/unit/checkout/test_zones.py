"""Zones: which polygons are refused and with which words, and what lies inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.zones import WHOLE_FRAME, Zone, ZoneSettings, make_zones, parse_polygon, zones_with_role


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a list of numbers"),
        ("0,0,1,zero,1,1", "not a list of numbers"),
        ("0,0,1,0,1", "5 numbers"),
        ("0,0,1,1", "2 points"),
        ("0.1,0.1", "1 points"),
        ("0,0,1.2,0,1,1", "1.2 is outside 0..1"),
        ("0,0,-0.1,0,1,1", "-0.1 is outside 0..1"),
        ("0,0,nan,0,1,1", "nan is outside 0..1"),
        ("0,0,1,1,1,0,0,1", "crosses itself"),
        ("0,0,1,0,0.5,0.5,1,1,0,1,0.5,0.5", "crosses itself"),
        ("0,0,0,0,1,0,1,1", "crosses itself"),
        ("0,0,0.5,0.5,1,1", "no area"),
        ("0,0,1,0,0.5,0,0.5,1", "crosses itself"),
    ],
)
def test_what_is_no_polygon_is_refused_with_the_reason(text, says):
    with pytest.raises(ValueError, match=says):
        parse_polygon(text)


@pytest.mark.parametrize(
    "text",
    [WHOLE_FRAME, "0,0,1,0,1,1", "0.2,0.2,0.8,0.2,0.8,0.9,0.2,0.9", "0,0,1,0,1,1,0.5,0.5,0,1", "0,0,0.5,0,1,0,1,1,0,1"],
)
def test_simple_polygons_are_taken(text):
    assert len(parse_polygon(text)) == text.count(",") // 2 + 1


def zone(text: str) -> Zone:
    return Zone("tray", "tray", parse_polygon(text))


def test_a_notch_is_outside():
    notched = zone("0,0,1,0,1,1,0.5,0.5,0,1")
    points = [(320.0, 100.0), (320.0, 300.0), (50.0, 250.0)]
    assert [notched.contains(point, 640, 360) for point in points] == [True, False, True]


@given(
    corners=st.tuples(*[st.floats(0.05, 0.45), st.floats(0.05, 0.45), st.floats(0.55, 0.95), st.floats(0.55, 0.95)]),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
)
def test_a_rectangle_contains_what_is_between_its_sides(corners, x, y):
    x1, y1, x2, y2 = corners
    inside = zone(f"{x1},{y1},{x2},{y1},{x2},{y2},{x1},{y2}").contains((x * 640, y * 360), 640, 360)
    margin = 1e-9
    if min(abs(x - x1), abs(x - x2), abs(y - y1), abs(y - y2)) > margin:
        assert inside == (x1 < x < x2 and y1 < y < y2)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=8))
def test_no_text_of_numbers_breaks_the_parser(points):
    text = ",".join(f"{x},{y}" for x, y in points)
    try:
        parsed = parse_polygon(text)
    except ValueError:
        return
    assert len(parsed) == len(points)


def test_zones_keep_names_order_and_roles():
    zones = make_zones({"a": ZoneSettings(role="belt", polygon=WHOLE_FRAME), "b": ZoneSettings(polygon=WHOLE_FRAME)})
    assert [(one.name, one.role) for one in zones] == [("a", "belt"), ("b", "tray")]
    assert [one.name for one in zones_with_role(zones, "tray")] == ["b"]
    assert zones[0].corners_px(640, 360).tolist() == [[0, 0], [639, 0], [639, 359], [0, 359]]
