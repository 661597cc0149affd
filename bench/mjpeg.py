"""Read a live page's MJPEG stream as a viewer would, with the capture time of each picture."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator


def pictures(host: str, port: int, path: str, timeout_s: float = 10.0) -> Iterator[tuple[float, float, bytes]]:
    """Yield (arrival UTC s, capture UTC s, JPEG bytes) for each part of a multipart stream until the caller stops."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise OSError(f"{path}: HTTP {response.status} {response.read(200)!r}")
        while True:
            headers: dict[str, str] = {}
            while line := response.readline().strip():
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            if "content-length" not in headers:
                if not response.isclosed():
                    continue  # the empty line between two parts
                return
            jpeg = response.read(int(headers["content-length"]))
            yield time.time(), float(headers["x-captured-at"]), jpeg
    finally:
        connection.close()
