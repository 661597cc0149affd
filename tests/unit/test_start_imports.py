"""What a start does not import: each of these would keep a person waiting for a picture that does not need it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROBE = """
import sys
import checkout.build, app.web, waitress, streams.synthetic.source
print(sorted({"scipy", "filterpy", "av", "sqlalchemy.dialects.postgresql", "psycopg", "tqdm"} & set(sys.modules)))
"""


def test_the_demo_lane_starts_without_what_it_does_not_use():
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stdout + done.stderr[-2000:]
