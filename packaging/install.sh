#!/usr/bin/env bash
# Install a hashed lock and the project itself (editable) into .venv. Usage: packaging/install.sh LOCK
set -euo pipefail
lock=$1
.venv/bin/uv pip install -q --python .venv/bin/python --require-hashes -r "$lock"
# The build backend is fetched by version range, so the project itself cannot be installed under --require-hashes.
.venv/bin/uv pip install -q --python .venv/bin/python --no-deps -e .
