"""What happens to calls while the stack itself changes."""
import os
import re
import signal
import time

import check
import stack
from scene import PORT, Scene, hears, now_us


def hup(where):
    """Reload during a call: the call goes on; a bad file changes nothing"""
    with check.Case("HUP"), Scene(where, "hup", users=("alice", "bob")) as s:
        a, b = s.phone("alice"), s.phone("bob")
        marks = [a.mark(), b.mark()]
        s.connect(a, b)
        pids = {r: s.st.pid(r) for r in stack.ROLES}
        for name, cfg, says in (
                ("good", stack.merge(s.st.cfg, {"log": {"level": "debug"}}),
                 r"(?s)(role=(sip|pbx|media) event=\"?reloaded.*){3}"),
                ("bad", "sip: {lisen: x}\n", r"did you mean")):
            s.st.write(cfg)
            before = len(s.st.text())
            s.st.proc.send_signal(signal.SIGHUP)
            check.check("HUP: %s file: said" % name, check.until(
                lambda: re.search(says, s.st.text()[before:]), 3),
                s.st.text()[before:][-300:])
        time.sleep(1.5)
        check.equal("HUP: the same processes", pids,
                    {r: s.st.pid(r) for r in stack.ROLES})
        a.hangup()
        check.check("HUP: the call went on", s.ended(a, b, since=marks))
        hears("HUP", a, b)
        hears("HUP", b, a)
        s.connect(b, a)
        b.hangup()
        check.ok("HUP: new calls work")


def drain(where):
    """TERM: no new calls, the old one may end by itself"""
    with check.Case("TERM"), Scene(where, "drain", {
            "node": {"drain": "20s"}}, ("alice", "bob", "carol")) as s:
        a, b, c = s.phone("alice"), s.phone("bob"), s.phone("carol")
        since, marks = now_us(), [a.mark(), b.mark()]
        s.connect(a, b)
        s.st.proc.terminate()
        time.sleep(0.5)
        s.refused("TERM: new calls get 503", c, "alice", [503])
        time.sleep(1)
        check.check("TERM: it waits for the call",
                    s.st.proc.poll() is None)
        a.hangup()
        began = time.monotonic()
        check.check("TERM: the call ends as calls do",
                    s.ended(a, b, since=marks))
        hears("TERM", a, b)
        hears("TERM", b, a)
        try:
            s.st.proc.wait(8)
            took = time.monotonic() - began
        except Exception:
            took = 99
        check.check("TERM: ends with the last call", took < 8,
                    "%.1f s after it" % took)
        s.cdr_is("TERM", "alice", "bob", since, "ANSWERED", [200])


def forced(where):
    """A second TERM: at once"""
    with check.Case("second TERM"), Scene(where, "forced") as s:
        a, b = s.phone("alice"), s.phone("bob")
        since = now_us()
        s.connect(a, b)
        s.st.proc.terminate()
        time.sleep(0.5)
        s.st.proc.terminate()
        try:
            s.st.proc.wait(5)
        except Exception:
            pass
        check.check("second TERM: ends at once",
                    s.st.proc.poll() is not None)
        rows = [r for r in s.st.cdrs() if r["time"] >= since]
        check.check("second TERM: the call has a CDR", rows)


def ports_full(where):
    """Few media ports: the caller that finds none gets 503"""
    extra = {"media": {"ports": "%d-%d" % (PORT + 100, PORT + 111)}}
    users = ["u%d" % n for n in range(8)]
    with check.Case("ports full"), Scene(where, "ports", extra, users) as s:
        phones = [s.phone(u) for u in users]
        pairs = list(zip(phones[::2], phones[1::2]))
        full = None
        good = 0
        for a, b in pairs:
            since = b.mark()
            mark = a.dial(b.user)
            ev = b.wait("CALL_INCOMING", since=since, seconds=3)
            if ev:
                b.answer()
                ev = a.wait("CALL_ESTABLISHED", since=mark, seconds=3)
            if not ev:
                ev = a.wait("CALL_CLOSED", since=mark, seconds=3)
                full = ev["param"] if ev else "no answer"
                break
            good += 1
        check.check("ports full: 503", full and full.startswith("503"),
                    "after %d calls: %s" % (good, full))
        check.check("ports full: said", re.search(
            r"port", s.st.text()), s.st.last_error())
        for a, _ in pairs[:good]:
            a.hangup()
        check.check("ports full: freed by the end of calls", check.until(
            lambda: s.sessions() == 0, 5), s.sessions())
        if good:
            time.sleep(2.5)		# ports rest before their next call
            s.connect(*pairs[0])
            check.ok("ports full: calls work again")


def dead_call(where):
    """Both telephones vanish: the call's media is freed"""
    extra = {"media": {"timeout": "3s"}, "node": {"drain": "1s"}}
    with check.Case("dead call"), Scene(where, "dead", extra) as s:
        a, b = s.phone("alice"), s.phone("bob")
        s.connect(a, b)
        time.sleep(1)
        check.check("dead call: has a session", s.sessions())
        for p in (a, b):
            os.kill(p.proc.pid, signal.SIGKILL)
        check.check("dead call: media freed", check.until(
            lambda: s.sessions() == 0, 15), s.sessions())


def roles_die(where):
    """A role that dies is started again, and calls work"""
    with check.Case("roles die"), Scene(where, "die") as s:
        a, b = s.phone("alice"), s.phone("bob")
        for role in stack.ROLES:
            pid = s.st.pid(role)
            os.kill(pid, signal.SIGKILL)
            again = check.until(lambda: s.st.pid(role) not in (None, pid)
                                and (s.st.ask(role, "status") or {})
                                .get("state") == "ready", 5)
            check.check("%s dies: started again" % role, again)
            marks = [a.mark(), b.mark()]

            def works():
                try:
                    s.connect(a, b)
                    return True
                except RuntimeError:
                    a.hangup()
                    b.hangup()
                    return False
            began = time.monotonic()
            check.check("%s dies: a new call works within 5 s" % role,
                        check.until(works, 5, 0.2) and
                        time.monotonic() - began < 6)
            a.hangup()
            s.ended(a, b, since=marks)


def run(where):
    for case in (hup, drain, forced, ports_full, dead_call, roles_die):
        case(where)
