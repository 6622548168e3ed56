"""A stand-in for the gateway: says on ``/health`` what it was told by its environment; ends in order on SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

_TOLD = ("GATEWAY_INSTANCE", "UDP_LISTEN_ADDR", "WEBSOCKET_ADDR", "TLS_CERT_LOCATION", "KAFKA_SASL_USERNAME")
AUDITS = {"stream": f"{os.getpid():08x}", "key": "gateway-0", "sent": 2}


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        told = {name: os.environ.get(name) for name in (*_TOLD, "TLS_STRAY")}
        body = json.dumps({"status": "ok", "sessions": 3, "tick_hz": 20.0, "env": told, "audits": AUDITS}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


def main() -> None:
    host, _, port = os.environ["UDP_LISTEN_ADDR"].rpartition(":")
    udp = socket.socket(type=socket.SOCK_DGRAM)
    udp.bind((host, int(port)))
    ws_host, _, ws_port = os.environ["WEBSOCKET_ADDR"].rpartition(":")
    websocket = socket.create_server((ws_host, int(ws_port)))
    server = HTTPServer(("127.0.0.1", int(os.environ["HTTP_PORT"])), Health)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("stand-in listens", flush=True)
    server.serve_forever()
    del websocket


if __name__ == "__main__":
    main()
