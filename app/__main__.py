"""`python -m app` is `traylane`."""

import sys

from app.cli import main

sys.exit(main())
