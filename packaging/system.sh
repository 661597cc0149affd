#!/usr/bin/env bash
# Install the Debian/Ubuntu packages that are missing. Usage: packaging/system.sh run|test
#   run   what the appliance needs beside Python: the two libraries that OpenCV's wheel links to
#   test  also the real parts that the tests drive: RTSP server, browser, FFmpeg, PostgreSQL
# Without root or password-free sudo it prints the command to run: fatal for `run`, a warning for `test`
# (the tests then skip what is missing, and say so).
set -euo pipefail
purpose=${1:?usage: system.sh run|test}

missing=()
need() { # need PACKAGE TEST-COMMAND…
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
has_library() { ldconfig -p | grep -qF "$1"; }
has_typelib() { ls /usr/lib/*/girepository-1.0/"$1" ; }
has_plugin() { ls /usr/lib/*/gstreamer-1.0/"$1" ; }

need libgl1 has_library libGL.so.1
need libglib2.0-0 has_library libglib-2.0.so.0
if [ "$purpose" = test ]; then
    need git command -v git
    need ffmpeg command -v ffmpeg
    need chromium bash -c 'command -v chromium || command -v google-chrome || command -v chromium-browser'
    need fonts-dejavu-core ls /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
    need python3-gi /usr/bin/python3 -c 'import gi'
    need gir1.2-gst-rtsp-server-1.0 has_typelib GstRtspServer-1.0.typelib
    need gstreamer1.0-plugins-base has_plugin libgsttypefindfunctions.so
    need gstreamer1.0-plugins-good has_plugin libgstrtp.so
    need gstreamer1.0-plugins-bad has_plugin libgstvideoparsersbad.so
    need gstreamer1.0-plugins-ugly has_plugin libgstx264.so
    need mosquitto bash -c 'command -v mosquitto || ls /usr/sbin/mosquitto'
    need postgresql bash -c 'ls /usr/lib/postgresql/*/bin/postgres'
fi
[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
as_root=
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
    if ! sudo -n true 2>/dev/null; then
        echo "missing system packages; please run: sudo $install" >&2
        [ "$purpose" = test ] && exit 0
        exit 1
    fi
fi
echo "installing system packages: ${missing[*]}"
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
