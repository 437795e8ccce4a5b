#!/bin/bash
# healthcheck.sh [MODEL [REST_PORT]]: succeeds when this container's server has a version in service.
#
# The stock image has no curl, wget or gRPC probe, but its bash can open a TCP connection. The status
# code alone is not enough: it is also 200 for a version that failed to load.
exec 3<>"/dev/tcp/127.0.0.1/${2:-8501}" || exit 1
printf 'GET /v1/models/%s HTTP/1.0\r\n\r\n' "${1:-tfrec}" >&3
[[ "$(cat <&3)" =~ \"state\":\ *\"AVAILABLE\" ]]
