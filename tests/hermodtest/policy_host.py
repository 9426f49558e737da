# SPDX-License-Identifier: ISC
"""An HTTPS server of MTA-STS policies, as good or as bad as the test says."""
import socket
import threading


def policy(mode="enforce", *mx, max_age=86400, extra=""):
    return f"version: STSv1\r\nmode: {mode}\r\n" + "".join(f"mx: {m}\r\n" for m in mx) + f"max_age: {max_age}\r\n{extra}"


class PolicyHost:
    """bodies: {domain: text, or a function of the socket that says all itself}; certs: {domain: Certificate}. asked: the domains
    that were asked for, in order."""

    def __init__(self, address="127.0.0.1"):
        self.bodies, self.certs, self.asked, self.requests, self.hellos = {}, {}, [], [], []
        self.status, self.type = {}, {}
        self.sock = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=100)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def context(self):
        first = next(iter(self.certs.values())).context()
        contexts = {f"mta-sts.{d}": c.context() for d, c in self.certs.items()}

        def choose(sock, name, _):
            self.hellos.append(name)
            if name in contexts:
                sock.context = contexts[name]
        first.sni_callback = choose
        return first

    def serve(self, raw):
        try:
            raw.settimeout(20)
            with self.context().wrap_socket(raw, server_side=True) as s:
                request = b""
                while b"\r\n\r\n" not in request:
                    got = s.recv(4096)
                    if not got:
                        return
                    request += got
                self.reply(s, request.decode())
        except OSError:
            pass
        finally:
            raw.close()

    def reply(self, s, request):
        host = next(line[6:] for line in request.split("\r\n") if line.lower().startswith("host: "))
        domain = host.rsplit(":", 1)[0].removeprefix("mta-sts.")
        self.asked.append(domain)
        self.requests.append(request)
        body = self.bodies.get(domain, "")
        if callable(body):
            body(s)
            return
        status = self.status.get(domain, "200 OK")
        s.sendall(f"HTTP/1.1 {status}\r\nContent-Type: {self.type.get(domain, 'text/plain; charset=utf-8')}\r\n"
                  f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())

    def close(self):
        self.sock.close()
