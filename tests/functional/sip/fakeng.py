"""A media node for tests: NG over UDP in bencode.  It rewrites the port of
each m= line to a number that tells which command came how often."""
import re
import socket
import threading


def decode(data, i=0):
    c = data[i:i + 1]
    if c == b"i":
        end = data.index(b"e", i)
        return int(data[i + 1:end]), end + 1
    if c in b"ld":
        out, i = [], i + 1
        while data[i:i + 1] != b"e":
            value, i = decode(data, i)
            out.append(value)
        if c == b"d":
            out = {out[k].decode(): out[k + 1] for k in range(0, len(out), 2)}
        return out, i + 1
    colon = data.index(b":", i)
    n = int(data[i:colon])
    return data[colon + 1:colon + 1 + n], colon + 1 + n


def encode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, dict):
        return b"d" + b"".join(encode(k) + encode(v)
                               for k, v in sorted(value.items())) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(encode(v) for v in value) + b"e"
    if isinstance(value, str):
        value = value.encode()
    return b"%d:%s" % (len(value), value)


class FakeNg(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.commands = []           # dicts, without pings
        self.error = None            # answer to offers and answers
        self.silent = False
        self.ports = 40000
        self.start()

    def of(self, callid, command=None):
        return [c for c in self.commands
                if c.get("call-id") == callid.encode() and
                (not command or c["command"] == command.encode())]

    def run(self):
        done = {}
        while True:
            data, addr = self.sock.recvfrom(65535)
            cookie, _, body = data.partition(b" ")
            if self.silent:
                continue
            if cookie not in done:
                done[cookie] = self.answer(decode(body)[0])
            self.sock.sendto(cookie + b" " + encode(done[cookie]), addr)

    def answer(self, cmd):
        if cmd["command"] == b"ping":
            return {"result": "pong"}
        self.commands.append(cmd)
        if cmd["command"] in (b"offer", b"answer"):
            if self.error:
                return {"result": "error", "error-reason": self.error}
            self.ports += 2
            sdp = re.sub(rb"m=audio \d+", b"m=audio %d" % self.ports,
                         cmd["sdp"])
            return {"result": "ok", "sdp": sdp}
        return {"result": "ok"}
