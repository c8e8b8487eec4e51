"""A SIP endpoint that does only what a test tells it: no transactions, no
timers; blocking sockets.  Retransmissions of what was taken are dropped."""
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "lib"))
from sipua import Message, best_challenge, digest, token  # noqa: E402

DOMAIN = "sip.local"


class Silence(Exception):
    """Nothing (of the kind asked for) came in time"""


def sdp(port, ip="127.0.0.1", extra=""):
    return ("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
            "m=audio %d RTP/AVP 0\r\n%s" % (ip, ip, port, extra)).encode()


class Endpoint:
    def __init__(self, user, password="", proxy=None, ip="127.0.0.1",
                 tcp=False, port=0):
        self.user, self.password, self.proxy = user, password, proxy
        self.ip, self.tcp = ip, tcp
        v6 = ":" in ip
        self.host = "[%s]" % ip if v6 else ip
        self.sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET,
                                  socket.SOCK_STREAM if tcp
                                  else socket.SOCK_DGRAM)
        if tcp:
            self.sock.connect(proxy)
        else:
            self.sock.bind((ip, port))
        self.port = self.sock.getsockname()[1]
        self.seen = set()
        self.waiting = []
        self.stream = b""
        self.pings = 0
        self.cseq = 0
        self.reg_id = token()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- bytes

    def put(self, msg, to=None):
        data = msg if isinstance(msg, bytes) else msg.encode()
        if self.tcp:
            self.sock.sendall(data)
        else:
            self.sock.sendto(data, to or self.proxy)

    def _one(self, left):
        self.sock.settimeout(max(left, 0.001))
        if not self.tcp:
            data, self.peer = self.sock.recvfrom(65535)
            return data
        while True:
            head, sep, rest = self.stream.partition(b"\r\n\r\n")
            if sep:
                m = re.search(rb"(?im)^content-length:\s*(\d+)", head)
                n = int(m.group(1)) if m else 0
                if len(rest) >= n:
                    self.stream = rest[n:]
                    return head + sep + rest[:n]
            data = self.sock.recv(65535)
            if not data:
                raise Silence("connection closed")
            self.stream += data

    @staticmethod
    def is_wanted(msg, what):
        return what is None or what in (msg.method, msg.status) or \
            what == "final" and msg.status >= 200

    def get(self, what=None, seconds=3):
        """The next message: a method, a status, "final", or anything.  OPTIONS of the
        edge itself is answered; what was seen before is dropped."""
        for i, msg in enumerate(self.waiting):
            if self.is_wanted(msg, what):
                return self.waiting.pop(i)
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise Silence("%s: no %s; there is: %s" % (
                    self.user, what, [m.method or m.status
                                      for m in self.waiting]))
            try:
                msg = Message.parse(self._one(left))
            except (socket.timeout, ConnectionError):
                continue
            key = (msg.branch, msg.method, msg.status, msg.cseq,
                   msg.get("to"))
            if key in self.seen:
                continue
            self.seen.add(key)
            if msg.method == "OPTIONS" and "ping@" in msg.get("from"):
                self.pings += 1
                self.put(self.response(msg, 200), self.peer)
                continue
            if self.is_wanted(msg, what):
                return msg
            if msg.status != 100:
                self.waiting.append(msg)

    def none(self, what, seconds=0.4):
        """True if no such message comes"""
        try:
            self.get(what, seconds)
            return False
        except Silence:
            return True

    def flush(self):
        """Forget what has come and was not asked for"""
        try:
            while True:
                self.get("nothing", 0.05)
        except Silence:
            self.waiting.clear()

    # ---- messages

    @property
    def contact(self):
        return "<sip:%s@%s:%d%s>" % (self.user, self.host, self.port,
                                     ";transport=tcp" if self.tcp else "")

    def aor(self):
        return "sip:%s@%s" % (self.user, DOMAIN)

    def via(self):
        return "SIP/2.0/%s %s:%d;branch=z9hG4bK%s;rport" % (
            "TCP" if self.tcp else "UDP", self.host, self.port, token(14))

    def request(self, method, uri, body=b"", callid=None, frm=None, to=None,
                cseq=None, headers=(), contact=True, maxfwd=70):
        msg = Message(method, uri)
        msg.add("Via", self.via())
        if maxfwd is not None:
            msg.add("Max-Forwards", maxfwd)
        msg.add("From", frm or "<%s>;tag=%s" % (self.aor(), token()))
        msg.add("To", to or "<%s>" % uri)
        msg.add("Call-ID", callid or token())
        self.cseq += 1
        msg.add("CSeq", "%d %s" % (cseq or self.cseq, method))
        if contact:
            msg.add("Contact", self.contact)
        for name, value in headers:
            msg.add(name, value)
        if body:
            msg.add("Content-Type", "application/sdp")
        msg.body = body
        return msg

    def invite(self, user, body=b"", **kw):
        uri = user if ":" in user else "sip:%s@%s" % (user, DOMAIN)
        return self.request("INVITE", uri, body, **kw)

    def authorized(self, msg, rsp):
        """The same again with credentials"""
        name, out = (("WWW-Authenticate", "Authorization")
                     if rsp.status == 401 else
                     ("Proxy-Authenticate", "Proxy-Authorization"))
        again = Message(msg.method, msg.uri)
        again.body = msg.body
        num = msg.cseq[0] + 1
        self.cseq = max(self.cseq, num)
        for n, v in msg.headers:
            if n == "Via":
                v = self.via()
            if n == "CSeq":
                v = "%d %s" % (num, msg.method)
            again.add(n, v)
        return again.add(out, digest(best_challenge(rsp.all(name)),
                                     self.user, self.password, msg.method,
                                     msg.uri))

    def ask(self, msg, seconds=3):
        """Send, take the final answer; with credentials if challenged.
        Returns (request as sent last, response)"""
        self.put(msg)
        rsp = self.final(seconds)
        if rsp.status in (401, 407):
            if msg.method == "INVITE":
                self.put(self.ack_failure(msg, rsp))
            msg = self.authorized(msg, rsp)
            self.put(msg)
            rsp = self.final(seconds)
        return msg, rsp

    def start(self, msg):
        """Send an INVITE with credentials, do not wait for the outcome"""
        self.put(msg)
        rsp = self.final()
        assert rsp.status == 407, rsp.status
        self.put(self.ack_failure(msg, rsp))
        msg = self.authorized(msg, rsp)
        self.put(msg)
        return msg

    def final(self, seconds=3):
        return self.get("final", seconds)

    def ack_failure(self, msg, rsp):
        ack = Message("ACK", msg.uri)
        ack.add("Via", msg.get("via"))
        for name in ("From", "Call-ID"):
            ack.add(name, msg.get(name))
        ack.add("To", rsp.get("to"))
        return ack.add("CSeq", "%d ACK" % msg.cseq[0]).add("Max-Forwards", 70)

    def response(self, req, status, body=b"", headers=(), tag=None):
        rsp = Message(status=status, reason="Status")
        for name in ("Via", "Record-Route", "From"):
            for v in req.all(name):
                rsp.add(name, v)
        to = req.get("to")
        if ";tag=" not in to and status > 100:
            to += ";tag=" + (tag or "t" + req.branch[-8:])
        rsp.add("To", to).add("Call-ID", req.get("call-id"))
        rsp.add("CSeq", "%d %s" % req.cseq)
        rsp.add("Contact", self.contact)
        for name, value in headers:
            rsp.add(name, value)
        if body:
            rsp.add("Content-Type", "application/sdp")
        rsp.body = body
        return rsp

    def reply(self, req, status, body=b"", **kw):
        rsp = self.response(req, status, body, **kw)
        self.put(rsp, getattr(self, "peer", None))
        return rsp

    # ---- requests inside a dialog

    def inside(self, method, invite, rsp, uac, body=b"", headers=(),
               cseq=None):
        """A request of the dialog that invite and its 2xx (or 1xx) made"""
        routes = [r for v in rsp.all("Record-Route")
                  for r in re.split(r",\s*(?=<)", v)]
        target = re.search(r"<([^>]*)>", (rsp if uac else invite)
                           .get("contact")).group(1)
        frm, to = invite.get("from"), rsp.get("to")
        if uac:
            routes.reverse()
        else:
            frm, to = to, frm
        hdrs = [("Route", r) for r in routes] + list(headers)
        if method == "ACK":
            cseq = cseq or invite.cseq[0]
        elif uac:
            self.cseq = max(self.cseq, invite.cseq[0])
        return self.request(method, target, body, invite.get("call-id"), frm,
                            to, cseq, hdrs)

    def register(self, contact=None, expires=None, headers=(), to=None,
                 seconds=3, callid=None, cseq=None):
        hdrs = list(headers)
        for c in ([contact] if isinstance(contact, str) else contact or
                  [self.contact]):
            if c:
                hdrs.append(("Contact", c))
        if expires is not None:
            hdrs.append(("Expires", expires))
        aor = "<%s>" % self.aor()
        msg = self.request("REGISTER", "sip:" + DOMAIN, b"",
                           callid or self.reg_id, aor + ";tag=" + token(),
                           to or aor, cseq, hdrs, contact=False)
        return self.ask(msg, seconds)[1]
