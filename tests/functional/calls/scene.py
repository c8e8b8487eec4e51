"""What the cases share: a stack with users, telephones, calls, CDRs."""
import os
import time

import check
import phone
import stack
import tone

PORT = 29000
SECRET = "a long password"
HZ = {"alice": 440, "bob": 587, "carol": 740, "bob2": 880}


class Scene:
    """A running stack and its telephones; all end with it."""

    def __init__(self, where, name, extra=None, users=("alice", "bob"),
                 port=PORT, host="127.0.0.1"):
        self.dir = os.path.join(where, name)
        self.name = name
        self.port = port
        self.host = "[%s]" % host if ":" in host else host
        self.address = host
        cfg = stack.config(port, extra=extra)
        self.st = stack.Stack(self.dir, cfg)
        self.users = users
        self.phones = []
        self.mark = 0

    def __enter__(self):
        for user in self.users:
            self.st.add_user(user, SECRET.replace(" ", ""))
        self.st.start()
        return self

    def __exit__(self, kind, *exc):
        for p in self.phones:
            p.stop()
        why = self.st.stop()
        if kind is None:
            check.check(self.name + ": the stack stops cleanly", not why,
                        why)
        return False

    def phone(self, name, user=None, **kw):
        """A registered telephone; name gives its tone and its ports"""
        n = len(self.phones)
        args = dict(hz=HZ.get(name, 660), address=self.address,
                    domain="sip.local")
        args.update(kw)
        p = phone.Phone(self.dir, name, self.port + 300 + 40 * n,
                        "%s:%d" % (self.host, self.port), user or name,
                        SECRET.replace(" ", ""), **args)
        self.phones.append(p)
        p.start()
        if args.get("register", True):
            why = p.registered()
            if why:
                raise RuntimeError("%s: %s" % (name, why))
        return p

    # ---- calls

    def ring(self, a, b, number=None):
        """a dials b; when b rings: (a's mark, b's event)"""
        since = b.mark()
        mark = a.dial(number or b.user)
        ev = b.wait("CALL_INCOMING", since=since, seconds=5)
        if not ev:
            end = a.wait("CALL_CLOSED", since=mark, seconds=1)
            raise RuntimeError("%s does not ring (%s)" % (
                b.name, end["param"] if end else "no answer"))
        return mark, ev

    def connect(self, a, b, number=None):
        mark, _ = self.ring(a, b, number)
        b.answer()
        ev = a.wait("CALL_ESTABLISHED", "CALL_CLOSED", since=mark,
                    seconds=5)
        if not ev or ev["type"] != "CALL_ESTABLISHED":
            raise RuntimeError("not connected: %s" % (
                ev["param"] if ev else "no answer"))
        return mark

    def ended(self, *phones, since=None, seconds=5):
        for p, mark in zip(phones, since or [0] * len(phones)):
            if not p.wait("CALL_CLOSED", since=mark, seconds=seconds):
                return False
        return True

    def refused(self, name, a, number, codes, seconds=8):
        """a dials number and is refused with one of codes"""
        mark = a.dial(number)
        ev = a.wait("CALL_CLOSED", "CALL_ESTABLISHED", since=mark,
                    seconds=seconds)
        got = ev.get("param", "") if ev else "no answer"
        return check.check(name, ev and ev["type"] == "CALL_CLOSED" and
                           got[:3] in [str(c) for c in codes],
                           "%s, expected %s" % (got, codes))

    # ---- what is left of a call

    def flows(self):
        answer = self.st.ask("media", "sessions") or {}
        return answer.get("flows") or answer.get("sessions") or []

    def sessions(self):
        status = self.st.ask("media", "status") or {}
        return status.get("sessions")

    def cdr(self, caller, callee, since_us, seconds=4):
        """The closed CDR of a call, None if it does not come"""
        def find():
            for row in self.st.cdrs():
                if row["time"] >= since_us and row["end_time"] and \
                        caller in row["caller"] and callee in row["callee"]:
                    return row
            return None
        return check.until(find, seconds)

    def cdr_is(self, name, caller, callee, since_us, disposition,
               codes=None):
        row = self.cdr(caller, callee, since_us)
        check.check(name + ": CDR", row and
                    row["disposition"] == disposition and
                    (not codes or row["sip_code"] in codes),
                    "expected %s %s, got %s" % (disposition, codes or "", {
                        k: row[k] for k in ("caller", "callee",
                                            "disposition", "sip_code",
                                            "hangup")} if row else "none"))
        return row


def now_us():
    return int(time.time() * 1e6)


def hears(name, listener, speaker, hz=None):
    """listener's recording holds speaker's tone and not its own"""
    hz = hz or speaker.hz
    path = listener.recording("dec")
    there = path and tone.share(path, hz)
    own = path and tone.share(path, listener.hz)
    return check.check("%s: %s hears %s" % (name, listener.name,
                                            speaker.name if speaker
                                            else "%d Hz" % hz),
                       there is not None and there and there > 0.8 and
                       (hz == listener.hz or own < 0.1),
                       "tone in %s, own tone in %s of %s" % (
                           there, own, path))
