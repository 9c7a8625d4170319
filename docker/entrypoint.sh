#!/bin/sh
# `serve` starts the daemon; anything else is run as a command. exec, so that the daemon gets the container's signals.
set -eu
if [ "${1:-}" = serve ]; then
    shift
    exec torchrelay --start --foreground --ts-config /home/torchrelay/config.properties "$@"
fi
exec "$@"
