"""A TAK server as a process: every whole event of every connection goes to a file; it can be killed, begun anew.

Arguments: port, file, and for TLS the folder with server.pem, server.key and ca.pem.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from pathlib import Path

END = b"</event>"


def serve(port: int, file: Path, secrets: Path | None) -> None:
    """For ever."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    context = None
    if secrets is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(secrets / "server.pem", secrets / "server.key")
        context.load_verify_locations(secrets / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    turn = threading.Lock()
    while True:
        line, _ = listener.accept()
        threading.Thread(target=take, args=(line, context, file, turn), daemon=True).start()


def take(line: socket.socket, context: ssl.SSLContext | None, file: Path, turn: threading.Lock) -> None:
    """One connection; half an event at its end is no event."""
    try:
        if context is not None:
            line = context.wrap_socket(line, server_side=True)
        rest = b""
        while part := line.recv(4096):
            *whole, rest = (rest + part).split(END)
            with turn, file.open("ab") as out:
                out.write(b"".join(event.replace(b"\n", b" ") + END + b"\n" for event in whole))
    except OSError:
        return


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
