"""Calls between extensions, as people make them."""
import time

import check
import tone
from scene import PORT, Scene, hears, now_us


def talk(s, name, a, b, seconds=2.5):
    """A call from a to b with tones both ways, and its CDR"""
    for p in (a, b):
        p.forget_recordings()
    since = now_us()
    marks = [a.mark(), b.mark()]
    s.connect(a, b)
    time.sleep(seconds)
    flows = s.flows()
    check.check(name + ": media runs through the media role",
                len(flows) >= 2 and all(
                    f.get("packets", 0) > 30 * seconds
                    for f in flows), repr(flows)[:300])
    a.hangup()
    check.check(name + ": both have hung up",
                s.ended(a, b, since=marks))
    hears(name, b, a)
    hears(name, a, b)
    row = s.cdr_is(name, a.user, b.user, since, "ANSWERED", [200])
    if row:
        check.check(name + ": CDR's seconds", abs(row["billsec"] - seconds)
                    <= 1.6, "billsec %s" % row["billsec"])
        check.equal(name + ": CDR says who hung up", "caller",
                    row["hangup"])
    check.check(name + ": no media session is left", check.until(
        lambda: s.sessions() == 0, 3), s.sessions())


def callee_hangs_up(s, a, b):
    name = "callee hangs up"
    since, marks = now_us(), [a.mark(), b.mark()]
    s.connect(a, b)
    time.sleep(0.5)
    b.hangup()
    check.check(name, s.ended(a, b, since=marks))
    row = s.cdr_is(name, a.user, b.user, since, "ANSWERED", [200])
    if row:
        check.equal(name + ": CDR says so", "callee", row["hangup"])


def busy(s, a, b):
    since = now_us()
    mark, _ = s.ring(a, b)
    b.hangup()
    ev = a.wait("CALL_CLOSED", since=mark)
    check.check("busy: 486 comes back", ev and
                ev["param"].startswith("486"), ev)
    s.cdr_is("busy", a.user, b.user, since, "BUSY", [486])


def no_answer(s, a, b):
    """pbx.ring_timeout is 3 s here"""
    since, b_mark = now_us(), b.mark()
    mark, _ = s.ring(a, b)
    ev = a.wait("CALL_CLOSED", since=mark, seconds=8)
    check.check("no answer: 408 or 480 comes back", ev and
                ev["param"][:3] in ("408", "480"), ev)
    check.check("no answer: it stops ringing", s.ended(b, since=[b_mark]))
    s.cdr_is("no answer", a.user, b.user, since, "NO ANSWER")


def cancelled(s, a, b):
    since, b_mark = now_us(), b.mark()
    s.ring(a, b)
    time.sleep(0.3)
    a.hangup()
    check.check("CANCEL: it stops ringing", s.ended(b, since=[b_mark]))
    s.cdr_is("CANCEL", a.user, b.user, since, "NO ANSWER", [487])


def not_there(s, a):
    since = now_us()
    s.refused("unregistered: 480", a, "dora", [480])
    s.cdr_is("unregistered", a.user, "dora", since, "NO ANSWER", [480])
    s.refused("unknown extension: 404", a, "nobody", [404])


def forbidden(s, a):
    """extensions: {erin: {calls: none}}"""
    erin = s.phone("erin")
    s.refused("forbidden: 403", erin, a.user, [403])


def hold(s, a, b):
    marks = [a.mark(), b.mark()]
    s.connect(a, b)
    time.sleep(1)

    def reoffer(command):
        since = b.mark()
        a.command(command)
        return b.wait("CALL_REMOTE_SDP", since=since, seconds=3)
    check.check("hold: the other side is asked", reoffer("hold"))
    time.sleep(1)
    check.check("resume: the other side is asked", reoffer("resume"))
    before = sum(f.get("packets", 0) for f in s.flows())
    time.sleep(1)
    after = sum(f.get("packets", 0) for f in s.flows())
    check.check("resume: media runs both ways again", after - before > 70,
                "%d packets in 1 s" % (after - before))
    b.hangup()
    check.check("hold: ends", s.ended(a, b, since=marks))


def fork(s, a, b):
    """bob has a second telephone: both ring, one answers"""
    b2 = s.phone("bob2", "bob")
    marks = [p.mark() for p in (a, b, b2)]
    mark = a.dial("bob")
    check.check("fork: both telephones ring",
                b.wait("CALL_INCOMING", since=marks[1], seconds=3) and
                b2.wait("CALL_INCOMING", since=marks[2], seconds=3))
    for p in (a, b2):
        p.forget_recordings()
    b2.answer()
    ev = a.wait("CALL_ESTABLISHED", since=mark)
    check.check("fork: one answers", ev)
    check.check("fork: the other stops ringing", s.ended(b,
                                                         since=[marks[1]]))
    time.sleep(2)
    hears("fork", a, b2)
    hears("fork", b2, a)
    a.hangup()
    check.check("fork: ends", s.ended(a, b2, since=[marks[0], marks[2]]))
    b2.stop()				# takes its registration back
    time.sleep(0.3)


def echo(s, a):
    a.forget_recordings()
    mark = a.dial("*43")
    check.check("echo: answers", a.wait("CALL_ESTABLISHED", since=mark))
    time.sleep(2)
    a.hangup()
    s.ended(a, since=[mark])
    path = a.recording("dec")
    share = path and tone.share(path, a.hz)
    check.check("echo: one hears oneself", share and share > 0.8,
                "tone in %s of the recording" % share)


def milliwatt(s, a):
    since = now_us()
    a.forget_recordings()
    mark = a.dial("*42")
    check.check("milliwatt: answers", a.wait("CALL_ESTABLISHED",
                                             since=mark))
    time.sleep(2)
    a.hangup()
    s.ended(a, since=[mark])
    path = a.recording("dec")
    hz = tone.pitch(path) if path else 0
    check.check("milliwatt: 1004 Hz", abs(hz - 1004) <= 1, "%d Hz" % hz)
    s.cdr_is("milliwatt", a.user, "*42", since, "ANSWERED", [200])


def two_calls_at_once(s, a, b):
    """Two pairs talk, each hears its own partner only"""
    c = s.phone("carol")
    d = s.phone("dave", hz=1000)
    marks = [p.mark() for p in (a, b, c, d)]
    for p in (a, b, c, d):
        p.forget_recordings()
    s.connect(a, b)
    s.connect(c, d)
    time.sleep(2)
    a.hangup()
    c.hangup()
    check.check("two calls: end", s.ended(a, b, c, d, since=marks))
    for x, y in ((a, b), (b, a), (c, d), (d, c)):
        hears("two calls", x, y)


def guarded(cases):
    for name, case in cases:
        with check.Case(name):
            case()


def everything(where):
    users = ("alice", "bob", "carol", "dave", "dora", "erin")
    extra = {"pbx": {"ring_timeout": "3s"},
             "extensions": {"erin": {"calls": "none"}}}
    with check.Case("calls"), Scene(where, "calls", extra, users) as s:
        a, b = s.phone("alice"), s.phone("bob")
        guarded((
            ("UDP", lambda: talk(s, "UDP", a, b)),
            ("back", lambda: talk(s, "the other way", b, a, 1.5)),
            ("callee hangs up", lambda: callee_hangs_up(s, a, b)),
            ("busy", lambda: busy(s, a, b)),
            ("no answer", lambda: no_answer(s, a, b)),
            ("CANCEL", lambda: cancelled(s, a, b)),
            ("not there", lambda: not_there(s, a)),
            ("forbidden", lambda: forbidden(s, a)),
            ("hold", lambda: hold(s, a, b)),
            ("echo", lambda: echo(s, a)),
            ("milliwatt", lambda: milliwatt(s, a)),
            ("fork", lambda: fork(s, a, b)),
            ("two calls", lambda: two_calls_at_once(s, a, b)),
        ))


def tcp(where):
    with check.Case("TCP"), Scene(where, "tcp", users=(
            "alice", "bob", "carol")) as s:
        a = s.phone("alice", transport="tcp")
        b = s.phone("bob", transport="tcp")
        c = s.phone("carol")
        guarded((
            ("TCP", lambda: talk(s, "TCP", a, b)),
            ("TCP to UDP", lambda: talk(s, "TCP to UDP", a, c, 1.5)),
            ("UDP to TCP", lambda: talk(s, "UDP to TCP", c, b, 1.5)),
        ))


def ipv6(where):
    """Telephones that have IPv6 only; inside, the stack is IPv4"""
    extra = {
        "sip": {"listen": ["udp:[::1]:%d" % PORT, "tcp:[::1]:%d" % PORT,
                           "udp:127.0.0.1:%d" % PORT,
                           "tcp:127.0.0.1:%d" % PORT]},
    }
    with check.Case("IPv6"), Scene(where, "ipv6", extra, ("alice", "bob",
                                                          "carol"),
                                   host="::1") as s:
        a, b = s.phone("alice"), s.phone("bob")
        c = s.phone("carol", transport="tcp")
        guarded((
            ("IPv6", lambda: talk(s, "IPv6", a, b)),
            ("IPv6 and TCP", lambda: talk(s, "IPv6 and TCP", c, a, 1.5)),
            ("IPv6 echo", lambda: echo(s, a)),
        ))


def two_workers(where):
    extra = {"sip": {"workers": 2}, "pbx": {"workers": 2,
                                            "audio_workers": 2},
             "media": {"workers": 2}}
    users = ("alice", "bob", "carol", "dave")
    with check.Case("two workers"), Scene(where, "workers", extra,
                                          users) as s:
        a, b = s.phone("alice"), s.phone("bob")
        guarded((
            ("two workers", lambda: talk(s, "two workers", a, b)),
            ("again", lambda: talk(s, "two workers again", b, a, 1.5)),
            ("echo", lambda: echo(s, a)),
            ("two calls", lambda: two_calls_at_once(s, a, b)),
        ))


def run(where):
    everything(where)
    tcp(where)
    ipv6(where)
    two_workers(where)
