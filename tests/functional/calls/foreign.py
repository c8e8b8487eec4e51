"""Cases that baresip cannot make: late offer, forged names, wrong secrets."""
import asyncio
import os
import subprocess
import time

import check
import sipua
from scene import PORT, SECRET, Scene, now_us

HERE = os.path.dirname(os.path.abspath(__file__))
SIPP = os.path.join(os.path.dirname(os.path.dirname(HERE)), "sipp")


async def ua(user, secret=SECRET.replace(" ", ""), register=True):
    u = await sipua.Ua.create("127.0.0.1", user, secret, "sip.local",
                              ("127.0.0.1", PORT))
    if register:
        await u.register(expires=60, timeout=5)
    return u


async def answering(user):
    """A user that answers and sends back what it hears"""
    u = await ua(user)

    async def answer(call):
        call.ring()
        await call.answer()
        call.rtp.echo = True
    u.on_invite = answer
    return u


async def gone(*uas):
    """They take their registrations back: a contact that stays is rung"""
    for u in uas:
        await u.register(expires=0, timeout=5)
        u.close()


async def status_of(coroutine):
    try:
        await coroutine
        return 200
    except sipua.SipError as e:
        return e.status


async def late_offer(s):
    a, b = await ua("alice"), await answering("bob")
    call = await a.invite("bob", late_offer=True, timeout=5)
    call.rtp.send_tone()
    await asyncio.sleep(1.5)
    check.check("late offer: media both ways", call.rtp.received > 50,
                "%d packets" % call.rtp.received)
    await call.bye()
    await gone(a, b)


async def through_nobody(s):
    """Names, secrets and tricks that must not work"""
    a = await ua("alice")
    b = await answering("bob")
    wrong = await ua("bob", "wrong", register=False)
    check.check("wrong password: REGISTER refused", await status_of(
        wrong.register(timeout=5)) in (401, 403))
    check.check("wrong password: INVITE refused", await status_of(
        wrong.invite("alice", timeout=5)) in (401, 403, 407))
    nobody = await ua("nobody", register=False)
    check.check("unknown user: as a wrong password", await status_of(
        nobody.register(timeout=5)) in (401, 403))

    real = sipua.Ua.aor
    sipua.Ua.aor = property(lambda self: "sip:bob@sip.local")
    try:
        check.equal("From of somebody else: 403", 403, await status_of(
            a.invite("bob", timeout=5)))
    finally:
        sipua.Ua.aor = real
    check.check("a foreign domain is not relayed to", await status_of(
        a.invite("sip:bob@example.com", timeout=5)) in (403, 404))
    check.check("the PBX answers the sip role only", await direct(
        PORT + 20) in (0, 403))
    await gone(a, b)
    wrong.close()
    nobody.close()


async def direct(port):
    """INVITE straight to the PBX, from an address that is not the sip
    role's"""
    u = await sipua.Ua.create("127.0.0.2", "mallory", "x", "sip.local",
                              ("127.0.0.1", port))
    status = await status_of(u.invite("bob", timeout=2))
    u.close()
    return status


async def reinvites(s):
    """Both sides change the session, also at the same time"""
    a, b = await ua("alice"), await answering("bob")
    call = await a.invite("bob", timeout=5)
    call.rtp.send_tone()
    await asyncio.sleep(0.5)
    for nth in range(3):
        check.equal("re-INVITE %d" % nth, 200, await status_of(
            call.reinvite()))
    before = call.rtp.received
    await asyncio.sleep(1)
    check.check("re-INVITE: media goes on",
                call.rtp.received - before > 30,
                "%d packets in 1 s" % (call.rtp.received - before))
    await call.bye()
    await gone(a, b)


async def first_answer(s):
    """How soon 100 Trying comes"""
    a, b = await ua("alice"), await answering("bob")
    best = []
    for _ in range(20):
        call = a.new_call("bob")
        began = time.monotonic()
        await a.invite("bob", timeout=5, call=call)
        times = [t - began for t, code in call.statuses if code == 100]
        if times:
            best.append(min(times))
        await call.bye()
    check.check("100 Trying comes", best, "none in 20 calls")
    if best:
        best.sort()
        print("# INVITE to 100 Trying, challenge and all: median %.1f ms"
              % (best[len(best) // 2] * 1000))
    await gone(a, b)


def sipp(s):
    """SIPp's own client: late offer, answer in the ACK"""
    async def answerer(stop):
        b = await answering("bob")
        while not stop():
            await asyncio.sleep(0.05)
        await gone(b)

    p = subprocess.Popen(
        ["sipp", "127.0.0.1:%d" % PORT, "-sf",
         os.path.join(SIPP, "rfc3264_late_offer.xml"), "-s", "bob",
         "-au", "alice", "-auth_uri", "bob@sip.local", "-ap", SECRET.replace(" ", ""), "-m", "3", "-l",
         "1", "-i", "127.0.0.1", "-p", str(PORT + 700), "-mp",
         str(PORT + 710), "-timeout", "15", "-timeout_error", "-nostdin",
         "-trace_err"], cwd=s.dir, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    asyncio.run(answerer(lambda: p.poll() is not None))
    out = p.stdout.read()
    check.check("sipp: late offer, three calls", p.returncode == 0,
                "code %s: %s" % (p.returncode, out[-300:]))


def run(where):
    with check.Case("foreign"), Scene(where, "foreign") as s:
        for name, case in (("late offer", late_offer),
                           ("tricks", through_nobody),
                           ("re-INVITE", reinvites),
                           ("100 Trying", first_answer)):
            with check.Case(name):
                asyncio.run(case(s))
        with check.Case("sipp"):
            sipp(s)
        since = now_us() - 60000000
        open_rows = check.until(lambda: not [
            r for r in s.st.cdrs() if r["time"] > since and
            not r["end_time"]], 5)
        check.check("no CDR stays open", open_rows)
