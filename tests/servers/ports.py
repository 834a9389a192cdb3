"""Ports for servers that tests start."""

import random
import socket

PORTS = range(10_000, 32_000)
# Below those that the kernel gives to outgoing connections: while a server is away for a while, nobody takes its port.


def unused_port() -> int:
    """Find a port that nobody uses and that nobody is given by chance."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
