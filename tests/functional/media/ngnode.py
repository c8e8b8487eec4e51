"""An NG client and telephones of bare RTP, for tests of the media role."""
import json
import os
import random
import re
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "lib"))
import check				# noqa: E402
from stack import Stack			# noqa: E402


def bencode(v):
    if isinstance(v, bool):
        v = int(v)
    if isinstance(v, int):
        return b"i%de" % v
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return b"%d:%s" % (len(v), v)
    if isinstance(v, (list, tuple)):
        return b"l" + b"".join(bencode(x) for x in v) + b"e"
    return b"d" + b"".join(bencode(k) + bencode(x)
                           for k, x in v.items()) + b"e"


def bdecode(b, i=0):
    """-> (value, index behind it)"""
    c = b[i:i + 1]
    if c == b"i":
        e = b.index(b"e", i)
        return int(b[i + 1:e]), e + 1
    if c in (b"l", b"d"):
        out, i = [], i + 1
        while b[i:i + 1] != b"e":
            v, i = bdecode(b, i)
            out.append(v)
        if c == b"d":
            out = dict(zip(out[::2], out[1::2]))
        return out, i + 1
    e = b.index(b":", i)
    n = int(b[i:e])
    return b[e + 1:e + 1 + n].decode(), e + 1 + n


class Ng:
    def __init__(self, port):
        self.addr = ("127.0.0.1", port)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(3)

    def raw(self, data, seconds=3):
        """The answering datagram, None if there is none."""
        self.sock.settimeout(seconds)
        self.sock.sendto(data, self.addr)
        try:
            return self.sock.recv(65536)
        except socket.timeout:
            return None

    def ask(self, cookie=None, form="bencode", **kw):
        d = {k.replace("_", "-"): v for k, v in kw.items() if v is not None}
        cookie = (cookie or "c%x" % random.getrandbits(60)).encode()
        body = bencode(d) if form == "bencode" else json.dumps(d).encode()
        out = self.raw(cookie + b" " + body)
        if out is None:
            raise TimeoutError("no answer to %s" % d.get("command"))
        assert out.startswith(cookie + b" "), out
        out = out[len(cookie) + 1:]
        return bdecode(out)[0] if form == "bencode" else json.loads(out)

    def ok(self, **kw):
        r = self.ask(**kw)
        assert r.get("result") == "ok", r
        return r


def sdp(port, media="audio", proto="RTP/AVP", fmt="0", ip="127.0.0.1",
        attrs=(), more=""):
    return ("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
            "m=%s %d %s %s\r\n%s%s" % (
                ip, ip, media, port, proto, fmt,
                "".join("a=%s\r\n" % a for a in attrs), more))


def ports(body):
    """Ports of the m= lines."""
    return [int(p) for p in re.findall(r"^m=\S+ (\d+)", body, re.M)]


def rtcp_port(body):
    m = re.search(r"^a=rtcp:(\d+)", body, re.M)
    return int(m.group(1)) if m else None


def rtp(seq, ssrc=1, pt=0, payload=b"x" * 160):
    return struct.pack("!BBHII", 0x80, pt, seq & 0xffff,
                       seq * 160 & 0xffffffff, ssrc) + payload


class Phone:
    """One socket, with a neighbour for RTCP."""

    def __init__(self, ip="127.0.0.1"):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((ip, 0))
        self.ip, self.port = self.sock.getsockname()
        self.to = None
        self.seq = random.randrange(60000)
        self.ssrc = random.getrandbits(32)

    def sdp(self, **kw):
        return sdp(self.port, **kw)

    def send(self, data=None, to=None):
        if data is None:
            self.seq += 1
            data = rtp(self.seq, self.ssrc)
        self.sock.sendto(data, ("127.0.0.1", to or self.to))
        return data

    def recv(self, seconds=1.0):
        """(data, source port), or (None, None)"""
        self.sock.settimeout(seconds)
        try:
            data, src = self.sock.recvfrom(65536)
            return data, src[1]
        except socket.timeout:
            return None, None

    def drain(self):
        n = 0
        while self.recv(0.05)[0] is not None:
            n += 1
        return n


def free_base():
    """Even, and the NG port below it is free."""
    while True:
        base = random.randrange(20000, 29000) & ~1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(("127.0.0.1", base - 2))
                return base
            except OSError:
                pass


class Bed:
    """One media process"""

    def __init__(self, name, **media):
        self.base = free_base()
        cfg = {"node": {"role": "media", "drain": "10ms"},
               "media": dict({"ng": ["udp:127.0.0.1:%d" % (self.base - 2)],
                              "ports": "%d-%d" % (self.base,
                                                  self.base + 199)},
                             **media)}
        self.stack = Stack(check.scratch("media-" + name), cfg,
                           role="media").start()
        self.ng = Ng(self.base - 2)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        why = self.stack.stop()
        if exc[0] is None and why:
            raise AssertionError(why)
        return False

    def rows(self, call=None):
        code, out = self.stack.run("--json", "ctl", "sessions")
        assert code == 0, out
        d = json.loads(out)
        rows = d.get("sessions")
        if rows is None:
            rows = d["media"]["sessions"]
        return [r for r in rows if call is None or r["call_id"] == call]

    def cpu(self):
        """CPU seconds of the process so far."""
        with open("/proc/%d/stat" % self.stack.proc.pid) as f:
            v = f.read().rpartition(")")[2].split()
        return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")

    def call(self, cid, a, b, a_kw=None, b_kw=None, **kw):
        """offer and answer; a.to and b.to are set: -> the two bodies"""
        o = self.ng.ok(command="offer", call_id=cid, from_tag="a",
                       sdp=a.sdp(**(a_kw or {})), **kw)["sdp"]
        n = self.ng.ok(command="answer", call_id=cid, from_tag="a",
                       to_tag="b", sdp=b.sdp(**(b_kw or {})), **kw)["sdp"]
        a.to, b.to = ports(n)[0], ports(o)[0]
        return o, n


def until(cond, seconds=3):
    return check.until(cond, seconds)


def both_ways(a, b, n=5):
    """Each hears all of the other, from the port that it was told."""
    for x, y in ((a, b), (b, a)):
        for _ in range(n):
            sent = x.send()
            data, src = y.recv()
            assert data == sent, "sent %r, heard %r" % (sent[:12], data)
            assert src == y.to, "came from %r, not %r" % (src, y.to)
    time.sleep(0)
