# Traylane in a container. Two targets: `edge` (no torch) for the appliance, `lab` for training and benchmarks.
#   docker build --target edge -t traylane:edge .
#   docker run --rm -p 127.0.0.1:8080:8080 -v traylane-var:/app/var traylane:edge
FROM python:3.11-slim-bookworm AS base
WORKDIR /app
COPY packaging/system.sh packaging/install.sh packaging/
COPY requirements-uv.lock requirements.lock pyproject.toml README.md LICENSE ./
RUN bash packaging/system.sh run && rm -rf /var/lib/apt/lists/* \
    && python -m venv .venv \
    && .venv/bin/python -m pip install -q --no-cache-dir --require-hashes -r requirements-uv.lock
COPY core core
COPY streams streams
COPY models models
COPY tracker tracker
COPY store store
COPY checkout checkout
COPY fleet fleet
COPY app app
COPY configs configs
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 UV_NO_CACHE=1

FROM base AS edge
RUN bash packaging/install.sh requirements.lock \
    && useradd --system --home /app traylane && install -d -o traylane /app/var
USER traylane
VOLUME /app/var
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["traylane"]
CMD ["run", "--config", "configs/container.yaml"]

FROM base AS lab
COPY requirements-dev.lock ./
COPY dataset dataset
COPY training training
COPY replay replay
COPY bench bench
RUN bash packaging/install.sh requirements-dev.lock \
    && useradd --system --create-home --home /home/traylane traylane && install -d -o traylane /app/var
USER traylane
VOLUME /app/var
ENTRYPOINT ["traylane"]
CMD ["--help"]
