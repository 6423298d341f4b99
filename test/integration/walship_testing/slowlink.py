"""A program behind a link that is slow: in a network of its own, whose only way out is shaped by the kernel.

The way out is 127.0.0.1:PORT, which stands for the same address outside.  Between the two networks, a Unix socket.
"""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading

import pytest

# With as deep a buffer as home routers have, and a sender that fills it.
SHAPE = (
    "sysctl -qw net.ipv4.tcp_congestion_control=reno && ip link set lo mtu 1500 && ip link set lo up && "
    "tc qdisc add dev lo root tbf rate {rate} burst 16k latency 5s"
)
CHUNK = 64 * 1024


def missing():
    """Why this machine cannot do it, or None."""
    if not all(shutil.which(name) for name in ("unshare", "ip", "tc")):
        return "unshare, ip and tc are not all there"
    tried = subprocess.run(["unshare", "-Urn", "sh", "-c", SHAPE.format(rate="10mbit")], capture_output=True, text=True)
    return tried.stderr.strip() or "no network of one's own" if tried.returncode else None


def run_behind(rate, port, command, directory, *, cwd, timeout):
    """The completed process of a command whose connections to that port go through a link of this rate ("2mbit")."""
    reason = missing()
    if reason:
        pytest.skip(f"NO SLOW LINK, so it is NOT TESTED: {reason}")
    path = directory / "link"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(16)
        start(accept, listener, lambda: socket.create_connection(("127.0.0.1", port)))
        inside = [sys.executable, __file__, str(port), str(path), *map(str, command)]
        words = ["unshare", "-Urn", "sh", "-c", SHAPE.format(rate=rate) + ' && exec "$@"', "sh", *inside]
        environment = {"PATH": os.environ["PATH"]}
        return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)


def start(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


def accept(listener, open_other):
    while True:
        try:
            near, _ = listener.accept()
            far = open_other()
        except OSError:
            return
        for pair in ((near, far), (far, near)):
            start(copy, *pair)


def copy(source, target):
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def main(port, path, *command):
    """Inside."""

    def open_outside():
        outside = socket.socket(socket.AF_UNIX)
        outside.connect(path)
        return outside

    listener = socket.create_server(("127.0.0.1", int(port)))
    start(accept, listener, open_outside)
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
