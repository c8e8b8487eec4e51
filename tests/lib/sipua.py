"""A small SIP user agent for tests (RFC 3261, 2617/7616, 3264, 3550).

Only the standard library; asyncio, UDP.  It is strict in what it sends and
tells everything it saw, so that a test can judge.

    ua = await Ua.create("127.0.0.1", "1001", "secret", "sip.local",
                         proxy=("127.0.0.1", 5060))
    await ua.register(expires=60)          # raises SipError(status) if refused
    call = await ua.invite("1002")         # returns when answered, ACK sent
    call.rtp.send_tone()                   # 20 ms PCMU packets from now on
    await asyncio.sleep(2)
    print(call.rtp.received, call.rtp.max_gap())
    await call.bye()
    ua.close()

The called side sets ua.on_invite to an async function of a Call:

    async def ring(call):
        call.ring()                        # 180
        await asyncio.sleep(1)
        await call.answer()                # 200, returns at the ACK
        call.rtp.echo = True               # send back what comes
    ua.on_invite = ring                    # or call.reject(486)
"""
import asyncio
import hashlib
import random
import re
import socket
import struct
import time

T1, T2, T4 = 0.5, 4.0, 5.0
TIMER_B = 64 * T1
COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact",
           "c": "content-type", "l": "content-length", "k": "supported",
           "s": "subject", "e": "content-encoding", "o": "event"}


class SipError(Exception):
    """A final answer other than 2xx; status 0: none came"""

    def __init__(self, status, reason, msg=None):
        super().__init__("%s %s" % (status, reason))
        self.status = status
        self.msg = msg


def token(n=10):
    return "".join(random.choice("abcdefghijklmnopqrstuvwxyz0123456789")
                   for _ in range(n))


class Message:
    """Request (method, uri) or response (status, reason)"""

    def __init__(self, method=None, uri=None, status=0, reason=""):
        self.method, self.uri = method, uri
        self.status, self.reason = status, reason
        self.headers = []
        self.body = b""

    @classmethod
    def parse(cls, data):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ",
                       head.decode("utf-8", "replace")).split("\r\n")
        first = lines[0].split(" ", 2)
        if len(first) < 3:
            raise ValueError("no start line: %r" % lines[0])
        if first[0] == "SIP/2.0":
            msg = cls(status=int(first[1]), reason=first[2])
        else:
            msg = cls(method=first[0], uri=first[1])
        for line in lines[1:]:
            name, _, value = line.partition(":")
            msg.add(name.strip(), value.strip())
        msg.body = body
        return msg

    def add(self, name, value):
        self.headers.append((name, str(value)))
        return self

    def all(self, name):
        name = name.lower()
        return [v for n, v in self.headers
                if COMPACT.get(n.lower(), n.lower()) == name]

    def get(self, name, default=""):
        values = self.all(name)
        return values[0] if values else default

    def param(self, name, param):
        m = re.search(r";\s*%s\s*=\s*([^;,\s>]+)" % re.escape(param),
                      re.sub(r"<[^>]*>", "", self.get(name)))
        return m.group(1) if m else ""

    def listed(self, name):
        """The values of a header that may be a comma-separated list"""
        out = []
        for value in self.all(name):
            out += [v.strip() for v in
                    re.split(r",(?=(?:[^<>]*<[^<>]*>)*[^<>]*$)", value)]
        return [v for v in out if v]

    @property
    def cseq(self):
        num, _, method = self.get("cseq").partition(" ")
        return int(num or 0), method.strip()

    @property
    def branch(self):
        return self.param("via", "branch")

    def encode(self):
        if self.method:
            head = ["%s %s SIP/2.0" % (self.method, self.uri)]
        else:
            head = ["SIP/2.0 %d %s" % (self.status, self.reason)]
        head += ["%s: %s" % h for h in self.headers]
        head.append("Content-Length: %d" % len(self.body))
        return "\r\n".join(head).encode() + b"\r\n\r\n" + self.body


def uri_of(value):
    """The URI of a name-addr or addr-spec"""
    m = re.search(r"<([^>]*)>", value)
    return m.group(1) if m else value.split(";")[0].strip()


def uri_addr(uri):
    """(host, port) of a URI or a Route value"""
    m = re.match(r"sips?:(?:[^@]*@)?(\[[^\]]*\]|[^:;?>]+)(?::(\d+))?", uri)
    return m.group(1).strip("[]"), int(m.group(2) or 5060)


def digest(challenge, user, password, method, uri, nc=1):
    """The Authorization value for a challenge (RFC 7616 3.4)"""
    ch = {k.lower(): q or t for k, q, t in
          re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s"]+))', challenge)}
    algo = ch.get("algorithm", "MD5")
    func = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algo.upper()]

    def h(text):
        return func(text.encode()).hexdigest()

    ha1 = h("%s:%s:%s" % (user, ch["realm"], password))
    ha2 = h("%s:%s" % (method, uri))
    out = ('Digest username="%s", realm="%s", nonce="%s", uri="%s", '
           'algorithm=%s' % (user, ch["realm"], ch["nonce"], uri, algo))
    if "auth" in ch.get("qop", "").split(",") or ch.get("qop") == "auth":
        cnonce = token(16)
        resp = h("%s:%s:%08x:%s:auth:%s" % (ha1, ch["nonce"], nc, cnonce, ha2))
        out += ', qop=auth, nc=%08x, cnonce="%s"' % (nc, cnonce)
    else:
        resp = h("%s:%s:%s" % (ha1, ch["nonce"], ha2))
    out += ', response="%s"' % resp
    if "opaque" in ch:
        out += ', opaque="%s"' % ch["opaque"]
    return out


def is_stale(rsp):
    """Right, but the nonce was too old: try again (RFC 7616 3.3)"""
    return any(re.search(r'stale="?true', v, re.I) for v in
               rsp.all("www-authenticate") + rsp.all("proxy-authenticate"))


def best_challenge(values):
    """SHA-256 before MD5, whatever else is offered is left alone"""
    for algo in ("sha-256", "md5"):
        for v in values:
            m = re.search(r'algorithm="?([\w-]+)', v)
            if (m.group(1) if m else "MD5").lower() == algo:
                return v
    raise SipError(0, "no challenge that we know: %r" % values)


class Rtp(asyncio.DatagramProtocol):
    """One RTP stream: PCMU, 20 ms; counts what comes"""

    def __init__(self):
        self.transport = None
        self.remote = None
        self.echo = False          # send back what comes
        self.ssrc = random.getrandbits(32)
        self.seq = random.getrandbits(15)
        self.ts = random.getrandbits(31)
        self.sent = 0
        self.received = 0
        self.times = []            # monotonic arrival times
        self.seqs = []             # (ssrc, seq) as they came
        self.payloads = set()      # first byte of each payload
        self._task = None

    @classmethod
    async def create(cls, ip):
        self = cls()
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(ip, 0))
        return self

    @property
    def port(self):
        return self.transport.get_extra_info("sockname")[1]

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if len(data) < 12 or data[0] >> 6 != 2:
            return
        _, _, seq, _, ssrc = struct.unpack("!BBHII", data[:12])
        self.received += 1
        self.times.append(time.monotonic())
        self.seqs.append((ssrc, seq))
        if len(data) > 12:
            self.payloads.add(data[12])
        if self.echo and self.remote:
            self.send(data[12:])

    def error_received(self, exc):
        pass                       # ICMP: the far side is restarting

    def send(self, payload):
        if self.transport.is_closing():
            return
        self.transport.sendto(
            struct.pack("!BBHII", 0x80, 0, self.seq, self.ts, self.ssrc)
            + payload, self.remote)
        self.seq = (self.seq + 1) & 0xffff
        self.ts = (self.ts + 160) & 0xffffffff
        self.sent += 1

    def send_tone(self, byte=0xd5):
        """A packet every 20 ms, its payload made of this byte, until close"""
        if not self._task:
            self._task = asyncio.ensure_future(self._run(bytes([byte]) * 160))

    async def _run(self, payload):
        due = time.monotonic()
        while not self.transport.is_closing():
            if self.remote:
                self.send(payload)
            due += 0.02
            late = time.monotonic() - due
            if late > 0.5:         # this process was held up: do not burst
                due += late
            await asyncio.sleep(max(0, -late))

    def gaps(self, since=0.0):
        """Pauses between packets that came after a monotonic time"""
        t = [x for x in self.times if x >= since]
        return [b - a for a, b in zip(t, t[1:])]

    def max_gap(self, since=0.0):
        return max(self.gaps(since), default=0.0)

    def close(self):
        if self._task:
            self._task.cancel()
        self.transport.close()


def sdp_make(ip, port, version=1, direction="sendrecv"):
    return ("v=0\r\no=- 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
            "m=audio %d RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=%s\r\n"
            % (version, ip, ip, port, direction)).encode()


def sdp_addr(body):
    """(ip, port, direction) of the first m=audio"""
    text = body.decode("utf-8", "replace")
    m = re.search(r"^m=audio (\d+)", text, re.M)
    if not m:
        return None
    media = text[m.start():]
    c = re.search(r"^c=IN IP[46] (\S+)", media, re.M) or \
        re.search(r"^c=IN IP[46] (\S+)", text, re.M)
    d = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", media, re.M)
    return c.group(1), int(m.group(1)), d.group(1) if d else "sendrecv"


class Call:
    """An INVITE dialog, of either side"""

    def __init__(self, ua, call_id):
        self.ua = ua
        self.call_id = call_id
        self.outgoing = False
        self.local = self.remote = ""        # From/To values with tags
        self.target = ""                     # remote target
        self.routes = []
        self.cseq = random.randint(1, 1000)
        self.rtp = None
        self.statuses = []                   # (monotonic, status) as seen
        self.started = time.time()
        self.answered = 0.0                  # wall clock
        self.ended = asyncio.get_running_loop().create_future()
        self.hangup = ""                     # "local", "remote", "cancel"
        self.invite_msg = None
        self._sdp_version = 1
        self._ack = None                     # our ACK of the 2xx
        self._acked = asyncio.get_running_loop().create_future()
        self._via_branch = ""
        self._final = None

    @property
    def beyond_100(self):
        """Somebody promised to see to this call"""
        return any(s > 100 for _, s in self.statuses)

    # called side

    def _respond(self, status, reason, body=b""):
        rsp = self.ua.response(self.invite_msg, status, reason)
        if status > 100:
            rsp.headers = [(n, self.local if n == "To" else v)
                           for n, v in rsp.headers]
        if 100 < status < 300:
            rsp.add("Contact", "<%s>" % self.ua.contact)
        if body:
            rsp.add("Content-Type", "application/sdp")
            rsp.body = body
        self.statuses.append((time.monotonic(), status))
        self.ua.reply(self.invite_msg, rsp)
        return rsp

    def ring(self):
        self._respond(180, "Ringing")

    def reject(self, status, reason="Rejected"):
        self._final = self._respond(status, reason)
        self._end("local")

    async def answer(self, timeout=TIMER_B):
        """200 with SDP, again until the ACK comes"""
        self.rtp = self.rtp or await Rtp.create(self.ua.ip)
        offer = sdp_addr(self.invite_msg.body) if self.invite_msg.body else None
        if offer:
            self.rtp.remote = offer[:2]
        self._final = self._respond(
            200, "OK", sdp_make(self.ua.ip, self.rtp.port))
        self.answered = time.time()
        delay, until = T1, time.monotonic() + timeout
        while not self._acked.done() and not self.ended.done():
            await asyncio.wait([self._acked, self.ended], timeout=delay,
                               return_when=asyncio.FIRST_COMPLETED)
            if time.monotonic() > until:
                raise SipError(0, "no ACK")
            if not self._acked.done() and not self.ended.done():
                self.ua.reply(self.invite_msg, self._final)
            delay = min(delay * 2, T2)

    def _on_ack(self, msg):
        if msg.body and self.rtp:            # late offer: the answer is here
            addr = sdp_addr(msg.body)
            self.rtp.remote = addr[:2] if addr else None
        if not self._acked.done():
            self._acked.set_result(msg)

    async def _on_reinvite(self, msg):
        self.invite_msg = msg
        self._set_target(msg)
        self._acked = asyncio.get_running_loop().create_future()
        body = self.answer_sdp(msg) if self.rtp else b""
        self._final = self._respond(200, "OK", body)

    # both sides

    def answer_sdp(self, msg):
        """Our side of an offer inside the dialog, or an offer"""
        self._sdp_version += 1
        addr = sdp_addr(msg.body) if msg.body else None
        direction = "sendrecv"
        if addr:
            self.rtp.remote = addr[:2]
            direction = {"sendonly": "recvonly", "recvonly": "sendonly"}\
                .get(addr[2], addr[2])
        return sdp_make(self.ua.ip, self.rtp.port, self._sdp_version,
                        direction)

    def _set_target(self, msg):
        contact = msg.get("contact")
        if contact:
            self.target = uri_of(contact)

    def request(self, method, body=b""):
        if method not in ("ACK", "CANCEL"):
            self.cseq += 1
        msg = Message(method, self.target)
        msg.add("Via", self.ua.via()).add("Max-Forwards", 70)
        for r in self.routes:
            msg.add("Route", r)
        msg.add("From", self.local).add("To", self.remote)
        msg.add("Call-ID", self.call_id)
        msg.add("CSeq", "%d %s" % (self.cseq, method))
        if method in ("INVITE", "UPDATE", "ACK"):
            msg.add("Contact", "<%s>" % self.ua.contact)
        if body:
            msg.add("Content-Type", "application/sdp")
            msg.body = body
        return msg

    def next_hop(self):
        return uri_addr(uri_of(self.routes[0]) if self.routes
                        else self.target)

    async def bye(self, timeout=TIMER_B):
        """Returns the final answer's status; 0 if none came"""
        if self.ended.done():
            return 481
        try:
            rsp = await self.ua.transact(self.request("BYE"),
                                         self.next_hop(), timeout=timeout)
            status = rsp.status
        except SipError as e:
            status = e.status
        self._end("local")
        return status

    async def reinvite(self, direction="sendrecv", timeout=TIMER_B):
        """Offer again, e.g. "sendonly" to hold; returns the final answer"""
        self._sdp_version += 1
        msg = self.request("INVITE", sdp_make(
            self.ua.ip, self.rtp.port, self._sdp_version, direction))
        rsp = await self.ua.transact(msg, self.next_hop(), timeout=timeout,
                                     call=self)
        if rsp.status < 300:
            self._confirm(rsp)
        return rsp

    def _confirm(self, rsp):
        """2xx of our INVITE: route set, media, ACK (RFC 3261 13.2.2.4)"""
        self._set_target(rsp)
        self.remote = rsp.get("to")
        if not self.answered:
            self.routes = list(reversed(rsp.listed("record-route")))
            self.answered = time.time()
        addr = sdp_addr(rsp.body) if rsp.body else None
        if addr and self.rtp:
            self.rtp.remote = addr[:2]
        late = addr and self.rtp and not self.invite_msg.body
        ack = self.request("ACK", sdp_make(self.ua.ip, self.rtp.port)
                           if late else b"")
        self._ack = ack
        self._final = rsp
        self.ua.send(ack, self.next_hop())

    def _end(self, who):
        if self.ended.done():
            return
        self.hangup = who
        self.ended.set_result(who)
        self.ua.calls.pop(self.call_id, None)
        if self.rtp:
            self.rtp.close()


class Ua(asyncio.DatagramProtocol):
    """One address-of-record on one UDP socket"""

    def __init__(self, user, password, domain, proxy):
        self.user, self.password = user, password
        self.domain, self.proxy = domain, proxy
        self.ip, self.port = "", 0
        self.transport = None
        self.calls = {}              # Call-ID -> Call
        self.on_invite = None
        self.log = None              # f(direction, bytes, addr)
        self.trans = {}              # (branch, method) -> (future, on_prov)
        self.served = {}             # (branch, method) -> [bytes, addr]
        self.reg_id = token(12) + "@" + domain
        self.reg_cseq = 0
        self.expires_at = 0.0        # wall clock, of the last 200 to REGISTER
        self.nc = {}

    @classmethod
    async def create(cls, ip, user, password, domain, proxy, port=0):
        self = cls(user, password, domain, proxy)
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(ip, port))
        self.ip, self.port = self.transport.get_extra_info("sockname")[:2]
        return self

    def close(self):
        for call in list(self.calls.values()):
            call._end("closed")
        self.transport.close()

    @property
    def contact(self):
        return "sip:%s@%s:%d" % (self.user, self.ip, self.port)

    @property
    def aor(self):
        return "sip:%s@%s" % (self.user, self.domain)

    def via(self):
        return "SIP/2.0/UDP %s:%d;branch=z9hG4bK%s;rport" % (
            self.ip, self.port, token(14))

    # transport

    def connection_made(self, transport):
        self.transport = transport

    def error_received(self, exc):
        pass

    def send(self, msg, addr):
        data = msg if isinstance(msg, bytes) else msg.encode()
        if self.log:
            self.log(">", data, addr)
        if not self.transport.is_closing():
            self.transport.sendto(data, addr)

    def datagram_received(self, data, addr):
        if self.log:
            self.log("<", data, addr)
        if not data.strip():
            return
        try:
            msg = Message.parse(data)
        except ValueError:
            return
        if msg.status:
            self._on_response(msg)
        else:
            self._on_request(msg, addr)

    # client transactions

    def _on_response(self, msg):
        entry = self.trans.get((msg.branch, msg.cseq[1]))
        if not entry:
            # a 2xx again: our ACK was lost (RFC 3261 13.2.2.4)
            call = self.calls.get(msg.get("call-id"))
            if call and call._ack and msg.cseq[1] == "INVITE" and \
               200 <= msg.status < 300 and msg.cseq == call._final.cseq:
                self.send(call._ack, call.next_hop())
            return
        future, on_prov = entry
        if msg.status < 200:
            if on_prov:
                on_prov(msg)
        elif not future.done():
            future.set_result(msg)

    async def transact(self, msg, addr=None, timeout=TIMER_B, call=None,
                       auth=True):
        """Send a request, return its final answer; digest when challenged.
        Raises SipError(0) if none comes, SipError(status) from 300 on"""
        addr = addr or self.proxy
        rsp = await self._once(msg, addr, timeout, call)
        tries = 0
        while auth and rsp.status in (401, 407) and (
                not tries or tries < 4 and is_stale(rsp)):
            tries += 1
            msg = self._authorized(msg, rsp)
            if call:
                call.cseq = msg.cseq[0]
            else:
                self.reg_cseq = max(self.reg_cseq, msg.cseq[0])
            rsp = await self._once(msg, addr, timeout, call)
        if rsp.status >= 300:
            raise SipError(rsp.status, rsp.reason, rsp)
        return rsp

    def _authorized(self, msg, rsp):
        name, out = (("www-authenticate", "Authorization")
                     if rsp.status == 401 else
                     ("proxy-authenticate", "Proxy-Authorization"))
        num, method = msg.cseq
        again = Message(msg.method, msg.uri)
        again.body = msg.body
        for n, v in msg.headers:
            if n == "Via":
                v = self.via()
            elif n == "CSeq":
                v = "%d %s" % (num + 1, method)
            elif n == out:
                continue
            again.add(n, v)
        ch = best_challenge(rsp.all(name))
        return again.add(out, digest(ch, self.user, self.password,
                                     msg.method, msg.uri))

    async def _once(self, msg, addr, timeout, call):
        """RFC 3261 17.1, over UDP"""
        invite = msg.method == "INVITE"
        future = asyncio.get_running_loop().create_future()
        proceeding = asyncio.Event()

        def on_prov(rsp):
            proceeding.set()
            if call:
                call.statuses.append((time.monotonic(), rsp.status))
                if rsp.status > 100 and rsp.body and call.rtp:
                    early = sdp_addr(rsp.body)
                    call.rtp.remote = early[:2] if early else None

        key = (msg.branch, msg.method)
        self.trans[key] = (future, on_prov)
        if call and invite:
            call.invite_msg = msg
        delay, until = T1, time.monotonic() + timeout
        try:
            while not future.done():
                if not (invite and proceeding.is_set()):
                    self.send(msg, addr)
                left = until - time.monotonic()
                if left <= 0:
                    raise SipError(0, "no answer to %s" % msg.method)
                await asyncio.wait([future], timeout=min(delay, left))
                delay = delay * 2 if invite else min(delay * 2, T2)
                if invite and proceeding.is_set():
                    delay = left
        finally:
            self.trans.pop(key, None)
        rsp = future.result()
        if call:
            call.statuses.append((time.monotonic(), rsp.status))
        if invite and rsp.status >= 300:
            self.send(self._ack_of(msg, rsp), addr)   # 17.1.1.3
        return rsp

    @staticmethod
    def _ack_of(msg, rsp):
        ack = Message("ACK", msg.uri)
        ack.add("Via", msg.get("via")).add("Max-Forwards", 70)
        for r in msg.all("route"):
            ack.add("Route", r)
        ack.add("From", msg.get("from")).add("To", rsp.get("to"))
        ack.add("Call-ID", msg.get("call-id"))
        return ack.add("CSeq", "%d ACK" % msg.cseq[0])

    # registering and calling

    async def register(self, expires=300, timeout=TIMER_B, contact=None):
        """RFC 3261 10.2; returns the 200"""
        self.reg_cseq += 1
        msg = Message("REGISTER", "sip:" + self.domain)
        msg.add("Via", self.via()).add("Max-Forwards", 70)
        msg.add("From", "<%s>;tag=%s" % (self.aor, token()))
        msg.add("To", "<%s>" % self.aor).add("Call-ID", self.reg_id)
        msg.add("CSeq", "%d REGISTER" % self.reg_cseq)
        msg.add("Contact", contact or "<%s>;expires=%d" % (
            self.contact, expires)).add("Expires", expires)
        rsp = await self.transact(msg, timeout=timeout)
        self.expires_at = time.time() + self._granted(rsp, expires)
        return rsp

    def _granted(self, rsp, asked):
        for value in rsp.listed("contact"):
            if "%s:%d" % (self.ip, self.port) in value:
                m = re.search(r">.*;\s*expires=(\d+)", value)
                if m:
                    return int(m.group(1))
        m = re.match(r"\d+", rsp.get("expires"))
        return int(m.group(0)) if m else asked

    def new_call(self, user, sdp=True):
        """An outgoing call that has not been sent yet"""
        call = Call(self, token(20) + "@" + self.ip)
        call.outgoing = True
        uri = user if user.startswith("sip:") else "sip:%s@%s" % (
            user, self.domain)
        call.local = "<%s>;tag=%s" % (self.aor, token())
        call.remote = "<%s>" % uri
        call.target = uri
        self.calls[call.call_id] = call
        return call

    async def invite(self, user, timeout=60.0, call=None, late_offer=False):
        """Call; returns the Call when it is answered.  Raises SipError: its
        status says why not.  call: from new_call(), to watch it meanwhile"""
        call = call or self.new_call(user)
        call.rtp = await Rtp.create(self.ip)
        msg = call.request("INVITE", b"" if late_offer else
                           sdp_make(self.ip, call.rtp.port))
        msg.add("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE")
        try:
            rsp = await self.transact(msg, self.proxy, timeout, call)
        except BaseException:
            call._end("failed")
            raise
        call._confirm(rsp)
        return call

    async def cancel(self, call, timeout=TIMER_B):
        """CANCEL an INVITE that is under way (RFC 3261 9.1)"""
        inv = call.invite_msg
        msg = Message("CANCEL", inv.uri)
        msg.add("Via", inv.get("via")).add("Max-Forwards", 70)
        msg.add("From", inv.get("from")).add("To", inv.get("to"))
        msg.add("Call-ID", call.call_id)
        msg.add("CSeq", "%d CANCEL" % inv.cseq[0])
        return await self.transact(msg, self.proxy, timeout, auth=False)

    # server transactions

    def response(self, req, status, reason):
        rsp = Message(status=status, reason=reason)
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            for v in req.all(name):
                rsp.add(name, v)
        for v in req.all("Record-Route"):
            rsp.add("Record-Route", v)
        return rsp

    def reply(self, req, rsp):
        entry = self.served[(req.branch, req.method)]
        entry[0] = rsp.encode()
        self.send(entry[0], entry[1])

    def _on_request(self, msg, addr):
        key = (msg.branch, msg.method)
        if msg.method == "ACK":
            call = self.calls.get(msg.get("call-id"))
            if call:
                call._on_ack(msg)
            return
        if key in self.served:               # again (RFC 3261 17.2)
            entry = self.served[key]
            if entry[0]:
                self.send(entry[0], entry[1])
            return
        if len(self.served) > 5000:
            self.served.clear()
        self.served[key] = [b"", addr]
        getattr(self, "_do_" + msg.method.lower(), self._do_other)(msg)

    def _do_other(self, msg):
        call = self.calls.get(msg.get("call-id"))
        if msg.param("to", "tag") and not call:
            self.reply(msg, self.response(msg, 481, "No Such Call"))
        elif msg.method == "UPDATE" and msg.body and call.rtp:
            rsp = self.response(msg, 200, "OK")
            rsp.body = call.answer_sdp(msg)
            rsp.add("Contact", "<%s>" % self.contact)
            rsp.add("Content-Type", "application/sdp")
            self.reply(msg, rsp)
        elif msg.method in ("OPTIONS", "INFO", "NOTIFY", "UPDATE"):
            self.reply(msg, self.response(msg, 200, "OK"))
        else:
            self.reply(msg, self.response(msg, 501, "Not Implemented"))

    def _do_bye(self, msg):
        call = self.calls.get(msg.get("call-id"))
        self.reply(msg, self.response(msg, 200 if call else 481,
                                      "OK" if call else "No Such Call"))
        if call:
            call._end("remote")

    def _do_cancel(self, msg):
        call = self.calls.get(msg.get("call-id"))
        found = call and not call.answered and not call.outgoing
        self.reply(msg, self.response(msg, 200 if found else 481,
                                      "OK" if found else "No Such Call"))
        if found:
            call._respond(487, "Request Terminated")
            call._end("cancel")

    def _do_invite(self, msg):
        call = self.calls.get(msg.get("call-id"))
        if msg.param("to", "tag"):
            if not call:
                self.reply(msg, self.response(msg, 481, "No Such Call"))
            else:
                asyncio.ensure_future(call._on_reinvite(msg))
            return
        call = Call(self, msg.get("call-id"))
        call.invite_msg = msg
        call.local = msg.get("to") + ";tag=" + token()
        call.remote = msg.get("from")
        call.routes = msg.listed("record-route")
        call._set_target(msg)
        self.calls[call.call_id] = call
        if self.on_invite:
            asyncio.ensure_future(self._invited(call))
        else:
            call.reject(480, "Temporarily Unavailable")

    async def _invited(self, call):
        try:
            await self.on_invite(call)
        except SipError:
            call._end("failed")


def free_port(ip="127.0.0.1", kind=socket.SOCK_DGRAM):
    """A port that nobody had a moment ago"""
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind((ip, 0))
        return s.getsockname()[1]
