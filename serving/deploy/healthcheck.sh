#!/bin/bash
# Succeeds when this container's server has a version of the model in service: healthcheck.sh [MODEL [REST_PORT]]
#
# The stock image has no curl, no wget and no gRPC probe, but its bash speaks TCP. The status code alone would say
# little: it is 200 for a version that failed to load, too.
exec 3<>"/dev/tcp/127.0.0.1/${2:-8501}" || exit 1
printf 'GET /v1/models/%s HTTP/1.0\r\n\r\n' "${1:-tfrec}" >&3
[[ "$(cat <&3)" =~ \"state\":\ *\"AVAILABLE\" ]]
