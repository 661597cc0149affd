#!/usr/bin/env bash
# Renew the locks: hashes, every platform, no URLs (a URL would name a registry).
set -euo pipefail
uv=${UV:-.venv/bin/uv}
compile() { "$uv" pip compile -q --universal --generate-hashes --no-header --no-annotate "$@"; }
compile pyproject.toml -o requirements.lock
compile --extra lab --extra openvino --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
echo uv==0.13.9 | compile - -o requirements-uv.lock
compile --python-version 3.11 dashboards/requirements.in -o dashboards/requirements.lock
if grep -nE 'https?://' requirements*.lock dashboards/requirements.lock; then
    echo "lock: a URL got into a lock file (above)" >&2
    exit 1
fi
