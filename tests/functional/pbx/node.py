"""A sip node for tests of the pbx role: one UDP socket, legs told apart by
Call-ID, every message sent and awaited by the script."""
import array
import math
import os
import random
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "lib"))
from sipua import Message, sdp_addr, sdp_make, token, uri_of  # noqa: E402


class Timeout(Exception):
    pass


def sdp(port, direction="sendrecv", codecs="0 101", version=1):
    return (("v=0\r\no=- 7 %d IN IP4 127.0.0.1\r\ns=-\r\n"
             "c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP %s\r\n"
             "a=rtpmap:101 telephone-event/8000\r\na=x-own:%d\r\na=%s\r\n")
            % (version, port, codecs, port, direction)).encode()


class Node:
    def __init__(self, pbx, ip="127.0.0.1", port=0):
        self.pbx = pbx
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((ip, port))
        self.ip, self.port = self.sock.getsockname()
        self.box = []                 # arrived, not yet asked for
        self.seen = {}                # bytes -> how often they came
        self.legs = {}

    def close(self):
        self.sock.close()

    def send(self, msg):
        self.sock.sendto(msg.encode(), self.pbx)

    def _receive(self, seconds):
        self.sock.settimeout(max(seconds, 0.001))
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            return
        self.seen[data] = self.seen.get(data, 0) + 1
        if self.seen[data] > 1:       # a retransmission
            return
        msg = Message.parse(data)
        msg.raw = data
        self.box.append(msg)

    def expect(self, match, what, seconds=4):
        end = time.monotonic() + seconds
        while True:
            for msg in self.box:
                if match(msg):
                    self.box.remove(msg)
                    return msg
            left = end - time.monotonic()
            if left <= 0:
                raise Timeout("no %s; there is %s" % (what, [
                    m.method or m.status for m in self.box]))
            self._receive(left)

    def nothing(self, match, seconds=0.5):
        try:
            msg = self.expect(match, "", seconds)
        except Timeout:
            return True
        raise AssertionError("unexpected %s" % (msg.method or msg.status))

    def incoming(self, seconds=4):
        """The INVITE of a leg that the PBX begins: -> Leg"""
        msg = self.expect(lambda m: m.method == "INVITE" and
                          m.get("call-id") not in self.legs,
                          "INVITE of a new leg", seconds)
        return Leg(self, invite=msg)


class TcpNode(Node):
    """The same over one connection in each direction"""

    def __init__(self, pbx, port):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.sock = socket.create_connection(pbx)
        self.ip, self.port = "127.0.0.1", port
        self.back = None              # the PBX's connection to us
        self.bytes = {}
        self.owner = {}               # Call-ID -> socket it came by
        self.box, self.seen, self.legs = [], {}, {}

    def close(self):
        for s in (self.sock, self.back, self.listener):
            if s:
                s.close()

    def send(self, msg):
        data = msg.encode().replace(b"SIP/2.0/UDP 127.0.0.1:%d" % self.port,
                                    b"SIP/2.0/TCP 127.0.0.1:%d" % self.port)
        self.owner.get(msg.get("call-id"), self.sock).sendall(data)

    def _receive(self, seconds):
        socks = [s for s in (self.sock, self.back, self.listener) if s]
        for s in select.select(socks, [], [], max(seconds, 0.001))[0]:
            if s is self.listener:
                self.back = s.accept()[0]
                continue
            self.bytes[s] = self.bytes.get(s, b"") + s.recv(65536)
            while self._take(s):
                pass

    def _take(self, s):
        head, sep, rest = self.bytes[s].partition(b"\r\n\r\n")
        if not sep:
            return False
        n = int(Message.parse(head + sep).get("content-length", 0))
        if len(rest) < n:
            return False
        msg = Message.parse(head + sep + rest[:n])
        self.bytes[s] = rest[n:]
        self.owner[msg.get("call-id")] = s
        self.box.append(msg)
        return True


class Leg:
    """A dialog with the PBX.  As A: Leg(node, user).  As B: from its INVITE"""

    def __init__(self, node, user="1001", invite=None, call_id=None):
        self.node = node
        self.invite_msg = invite
        self.routes = []
        self.cseq = random.randint(1, 900)
        self.tag = token(8)
        if invite is None:
            self.call_id = call_id or token(20)
            self.local = "<sip:%s@sip.local>;tag=%s" % (user, self.tag)
        else:
            self.call_id = invite.get("call-id")
            self.local = invite.get("to") + ";tag=" + self.tag
            self.remote = invite.get("from")
            self.target = uri_of(invite.get("contact"))
        self.contact = "sip:%s@%s:%d" % (user, node.ip, node.port)
        if isinstance(node, TcpNode):
            self.contact += ";transport=tcp"
        node.legs[self.call_id] = self

    # requests

    def make(self, method, uri, to, body=b"", hdrs=(), cseq=None):
        msg = Message(method, uri)
        msg.add("Via", "SIP/2.0/UDP %s:%d;branch=z9hG4bK%s" % (
            self.node.ip, self.node.port, token(14)))
        if not any(n == "Max-Forwards" for n, _ in hdrs):
            msg.add("Max-Forwards", 70)
        msg.add("From", self.local).add("To", to)
        msg.add("Call-ID", self.call_id)
        msg.add("CSeq", "%d %s" % (self.cseq if cseq is None else cseq,
                                   method))
        msg.add("Contact", "<%s>" % self.contact)
        for name, value in hdrs:
            msg.add(name, value)
        if body:
            msg.add("Content-Type", "application/sdp")
            msg.body = body
        return msg

    def invite(self, number, body=b"", hdrs=()):
        uri = "sip:%s@sip.local" % number
        hdrs = list(hdrs) + [("Record-Route", "<sip:%s:%d;lr;x=%s>" % (
            self.node.ip, self.node.port, self.tag))]
        self.invite_msg = self.make("INVITE", uri, "<%s>" % uri, body, hdrs)
        self.node.send(self.invite_msg)
        return self

    def cancel(self, hdrs=()):
        inv = self.invite_msg
        msg = Message("CANCEL", inv.uri)
        for n in ("Via", "From", "To", "Call-ID"):
            msg.add(n, inv.get(n))
        msg.add("CSeq", "%d CANCEL" % inv.cseq[0]).add("Max-Forwards", 70)
        for name, value in hdrs:
            msg.add(name, value)
        self.node.send(msg)

    def request(self, method, body=b"", hdrs=()):
        self.cseq += 1
        msg = self.make(method, self.target, self.remote, body, hdrs)
        if method == "INVITE":
            self.invite_msg = msg
        self.node.send(msg)
        return msg

    def ack(self, body=b""):
        """To a 2xx"""
        cseq = self.invite_msg.cseq[0]
        self.node.send(self.make("ACK", self.target, self.remote, body,
                                 cseq=cseq))

    def ack_failure(self, rsp):
        inv = self.invite_msg
        msg = Message("ACK", inv.uri)
        msg.add("Via", inv.get("via")).add("From", inv.get("from"))
        msg.add("To", rsp.get("to")).add("Call-ID", self.call_id)
        msg.add("CSeq", "%d ACK" % inv.cseq[0]).add("Max-Forwards", 70)
        self.node.send(msg)

    # what comes

    def status(self, status, method="INVITE", seconds=4):
        rsp = self.node.expect(
            lambda m: not m.method and m.get("call-id") == self.call_id
            and m.cseq[1] == method and m.status != 100,
            "%s to %s" % (status, method), seconds)
        if rsp.status >= 300 and method == "INVITE":
            self.ack_failure(rsp)
        if rsp.status != status:
            raise AssertionError("%d %s to %s, expected %d" % (
                rsp.status, rsp.reason, method, status))
        if method == "INVITE" and rsp.status < 300:
            self.remote = rsp.get("to")
            self.target = uri_of(rsp.get("contact"))
        return rsp

    def comes(self, method, seconds=4):
        msg = self.node.expect(
            lambda m: m.method == method
            and m.get("call-id") == self.call_id, method, seconds)
        if method == "INVITE":
            self.invite_msg = msg
        return msg

    def reply(self, req, status, body=b"", hdrs=(), tag=None):
        rsp = Message(status=status, reason="Because")
        for v in req.all("via"):
            rsp.add("Via", v)
        for v in req.all("record-route"):
            rsp.add("Record-Route", v)
        rsp.add("From", req.get("from"))
        to = req.get("to")
        if "tag=" not in to:
            to += ";tag=" + (tag or self.tag)
        rsp.add("To", to).add("Call-ID", self.call_id)
        rsp.add("CSeq", req.get("cseq"))
        if status < 300:
            rsp.add("Contact", "<%s>" % self.contact)
        for name, value in hdrs:
            rsp.add(name, value)
        if body:
            rsp.add("Content-Type", "application/sdp")
            rsp.body = body
        self.node.send(rsp)
        return rsp

    def bye(self, hdrs=()):
        self.request("BYE", hdrs=hdrs)
        return self.status(200, "BYE")

    def bye_comes(self):
        msg = self.comes("BYE")
        self.reply(msg, 200)
        return msg


def bridge(node, body_a=None, body_b=None, hdrs_b=(("Allow", "INVITE, ACK, "
           "BYE, CANCEL, UPDATE, OPTIONS, INFO"),), callee="1002",
           caller="1001", hdrs=()):
    """A call from A to B, answered: -> (a, b)"""
    a = Leg(node, caller).invite(callee, body_a or sdp(4000), list(hdrs) + [
        ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, OPTIONS, INFO")])
    b = node.incoming()
    b.reply(b.invite_msg, 180)
    a.status(180)
    b.reply(b.invite_msg, 200, body_b or sdp(4002), hdrs_b)
    b.comes("ACK")
    rsp = a.status(200)
    a.ack()
    a.answer = rsp
    return a, b


class Rtp:
    """Packets by hand"""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.ssrc = random.getrandbits(32)
        self.remote = None

    def close(self):
        self.sock.close()

    def to(self, body):
        ip, port, self.direction = sdp_addr(body)
        self.remote = (ip, port)
        return self

    def send(self, seq, ts, payload, pt=0, marker=False):
        self.sock.sendto(struct.pack(
            "!BBHII", 0x80, pt | (0x80 if marker else 0), seq & 0xffff,
            ts & 0xffffffff, self.ssrc) + payload, self.remote)

    def receive(self, seconds=1):
        """(marker, pt, seq, ts, ssrc, payload, time) or None"""
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(2048)
        except socket.timeout:
            return None
        b0, b1, seq, ts, ssrc = struct.unpack("!BBHII", data[:12])
        return (b1 >> 7, b1 & 0x7f, seq, ts, ssrc, data[12:],
                time.monotonic())


def alaw(byte):
    """ITU-T G.711 A-law to 16 bits"""
    byte ^= 0x55
    seg, mant = (byte >> 4) & 7, byte & 15
    x = (mant << 4) + 8 if seg == 0 else ((mant << 4) + 0x108) << (seg - 1)
    return x if byte & 0x80 else -x


def ulaw(byte):
    byte = ~byte & 0xff
    x = (((byte & 15) << 3) + 0x84 << ((byte >> 4) & 7)) - 0x84
    return -x if byte & 0x80 else x


def power_at(pcm, hz):
    w = 2 * math.pi * hz / 8000
    re = sum(x * math.cos(w * i) for i, x in enumerate(pcm))
    im = sum(x * math.sin(w * i) for i, x in enumerate(pcm))
    return (re * re + im * im) / len(pcm) ** 2 * 4


def frequency(pcm):
    """The strongest, to 0.5 Hz"""
    best = max(range(980, 1030, 4), key=lambda f: power_at(pcm, f))
    return max((best + d / 2 for d in range(-8, 9)),
               key=lambda f: power_at(pcm, f))


def amplitude(pcm, hz):
    return math.sqrt(power_at(pcm, hz))
