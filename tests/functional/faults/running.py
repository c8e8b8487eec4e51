"""Garbage sent to a running stack: refused, counted, and it goes on."""
import os
import random
import socket
import time

import check
import stack

PORT = 28000
SDP = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"
       "t=0 0\r\nm=audio 40000 RTP/AVP 0\r\n")


class Wire:
    """A UDP socket towards one port."""

    def __init__(self, port):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind(("127.0.0.1", 0))
        self.s.connect(("127.0.0.1", port))

    def port(self):
        return self.s.getsockname()[1]

    def ask(self, data, seconds=1.0):
        """The first answer, None if there is none."""
        self.s.settimeout(0.0)
        try:
            while True:
                self.s.recv(65535)
        except OSError:
            pass
        self.s.settimeout(seconds)
        try:
            self.s.send(data)
            return self.s.recv(65535)
        except OSError:
            return None


def request(wire, method="OPTIONS", drop=(), add=(), version="SIP/2.0",
            uri="sip:sip.local", body="", **headers):
    """A request that is right but for what the arguments change."""
    n = random.getrandbits(40)
    base = {
        "Via": "SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%x;rport" % (
            wire.port(), n),
        "Max-Forwards": "70",
        "From": "<sip:mallory@sip.local>;tag=%x" % n,
        "To": "<sip:sip.local>",
        "Call-ID": "%x@127.0.0.1" % n,
        "CSeq": "1 " + method,
        "Contact": "<sip:mallory@127.0.0.1:%d>" % wire.port(),
        "Content-Length": str(len(body)),
    }
    base.update({k.replace("_", "-"): v for k, v in headers.items()})
    lines = ["%s %s %s" % (method, uri, version)]
    lines += ["%s: %s" % (k, v) for k, v in base.items() if k not in drop]
    return ("\r\n".join(lines + list(add)) + "\r\n\r\n" + body).encode()


def status(answer):
    try:
        return int(answer.split(b" ", 2)[1])
    except (AttributeError, IndexError, ValueError):
        return None


def bad_messages(w):
    """name, bytes, statuses that are right (None: dropped)"""
    big = ["X-%d: %s" % (i, "y" * 900) for i in range(70)]
    return (
        ("not SIP", b"GET / HTTP/1.1\r\n\r\n", (None, 400)),
        ("binary", bytes(range(256)) * 4, (None, 400)),
        ("empty lines", b"\r\n\r\n\r\n\r\n", (None,)),
        ("one NUL", b"\0", (None,)),
        ("cut in a header", request(w)[:120], (None, 400)),
        ("no CSeq", request(w, drop=("CSeq",)), (400, None)),
        ("no From", request(w, drop=("From",)), (400, None)),
        ("no To", request(w, drop=("To",)), (400, None)),
        ("no Call-ID", request(w, drop=("Call-ID",)), (400, None)),
        ("no Via", request(w, drop=("Via",)), (None, 400)),
        ("CSeq of another method", request(w, CSeq="1 INVITE"), (400,)),
        ("CSeq too large", request(w, CSeq="99999999999 OPTIONS"), (400,)),
        ("version 7.0", request(w, version="SIP/7.0"), (505,)),
        ("header without a name", request(w, add=(": x",)), (400, None)),
        ("From without a URI", request(w, From="<>;tag=1"), (400,)),
        ("quote without an end", request(w, From='"x <sip:a@b>;tag=1'),
         (400,)),
        ("Content-Length beyond the datagram",
         request(w, Content_Length="5000"), (400, None)),
        ("Content-Length negative", request(w, Content_Length="-1"),
         (400, None)),
        ("Max-Forwards 0", request(w, method="INVITE", body=SDP,
                                   Max_Forwards="0"), (483, 401, 407)),
        ("unknown method", request(w, method="NONSENSE"),
         (405, 501, 401, 407, 200)),
        ("Proxy-Require unknown",
         request(w, method="INVITE", add=("Proxy-Require: nothing",)),
         (420,)),
        ("unknown URI scheme",
         request(w, method="INVITE", uri="nobody:none"), (416, 400)),
        ("a datagram of 60 kB", request(w, add=big[:60]), (513, 400, 200,
                                                          404, None)),
        ("a thousand headers", request(w, add=["X: y"] * 1000),
         (513, 400, None)),
        ("a long name", request(w, add=("X" * 8000 + ": y",)),
         (513, 400, 200, 404, None)),
    )


def alive(name):
    w = Wire(PORT)	# a new one: answers to what came before go elsewhere
    answer = status(w.ask(request(w, method="REGISTER",
                                  To="<sip:mallory@sip.local>"), 3))
    check.check(name + ": still registers (challenges)",
                answer in (401, 407), "answered %s" % answer)


def sip_messages(st):
    w = Wire(PORT)
    for name, data, right in bad_messages(w):
        got = status(w.ask(data, 0.7 if None in right else 3))
        check.check("malformed: " + name, got in right,
                    "answered %s, expected one of %s" % (got, right))
    alive("malformed")
    rng = random.Random(2)
    good = request(w, method="INVITE", body=SDP)
    for _ in range(300):			# bytes changed, datagram cut
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        w.s.send(bytes(data[:rng.randrange(1, len(data))]))
    time.sleep(0.5)
    alive("300 damaged datagrams")


def tcp_stream(st):
    """Garbage, a message without end, and one that is too long.  What could
    still become a message has 10 s for it"""
    w = Wire(PORT)	# for its port number in requests
    for name, data in (
            ("garbage", os.urandom(3000)),
            ("no end", b"OPTIONS sip:sip.local SIP/2.0\r\nVia: " +
             b"x" * 300000),
            ("body too long", request(w, Content_Length="99999999"))):
        s = socket.create_connection(("127.0.0.1", PORT), 3)
        s.settimeout(13)
        closed = False
        try:
            s.sendall(data)
            while s.recv(65535):
                pass
            closed = True
        except (ConnectionError, BrokenPipeError):
            closed = True
        except socket.timeout:
            pass
        s.close()
        check.check("TCP %s: refused and closed" % name, closed,
                    "still open after 13 s")
    alive("TCP garbage")


def ng_messages(st):
    w = Wire(PORT + 30)
    for name, data, right in (
            ("ping", b"c1 d7:command4:pinge", b"pong"),
            ("unknown command", b"c2 d7:command5:bogose", b"error"),
            ("no command", b"c3 d3:foo3:bare", b"error"),
            ("unknown command in JSON", b'c4 {"command":"bogos"}',
             b"error")):
        answer = w.ask(data, 2) or b""
        check.check("NG " + name, right in answer and
                    answer.startswith(data[:2]), repr(answer))
        if right == b"error":
            check.check("NG %s: says why" % name,
                        b"error-reason" in answer, repr(answer))
    for name, data in (("cut", b"c5 d7:command4:pi"),
                       ("no cookie", b"d7:command4:pinge"),
                       ("a length that wraps",
                        b"c6 d7:command18446744073709551615:pinge"),
                       ("deep", b"c7 " + b"l" * 20000),
                       ("binary", os.urandom(1000))):
        answer = w.ask(data, 0.5)
        check.check("NG %s: error or nothing" % name, answer is None or
                    b"error" in answer, repr(answer))
    check.check("NG goes on", b"pong" in (w.ask(b"c8 d7:command4:pinge", 2)
                                          or b""))


def media_garbage(st):
    """Datagrams into the range of media ports"""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    rng = random.Random(3)
    for _ in range(2000):
        s.sendto(rng.randbytes(rng.randrange(0, 200)),
                 ("127.0.0.1", PORT + 100 + rng.randrange(200)))
    status = st.ask("media", "status")
    check.check("garbage to media ports: goes on",
                status and status.get("state") == "ready")


def ctl_garbage(st):
    for data in (b"\n", b"{\n", b"[]\n", b'{"cmd":1}\n',
                 b'{"cmd":"nonsense"}\n', b"x" * 100000 + b"\n",
                 b'{"cmd":"status"'):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(1)
        try:
            s.connect(os.path.join(st.state, "ctl-sip.sock"))
            s.sendall(data)
            s.recv(65535)
        except OSError:
            pass
        s.close()
    status = st.ask("sip", "status")
    check.check("garbage on the control socket: goes on",
                status and status.get("state") == "ready")


def run(where):
    st = stack.Stack(os.path.join(where, "running"), stack.config(PORT))
    with check.Case("running stack"):
        st.start()
        pids = {r: st.pid(r) for r in stack.ROLES}
        for name, case in (("malformed SIP", sip_messages),
                           ("TCP", tcp_stream), ("NG", ng_messages),
                           ("media ports", media_garbage),
                           ("control socket", ctl_garbage)):
            with check.Case(name):
                case(st)
        check.equal("no role died of it", pids,
                    {r: st.pid(r) for r in stack.ROLES})
        lines = [l for l in st.text().splitlines() if "malformed" in l or
                 "bogos" in l]
        check.check("garbage does not fill the log", len(lines) < 200,
                    "%d lines" % len(lines))
    why = st.stop()
    check.check("stops cleanly after garbage", not why, why)
