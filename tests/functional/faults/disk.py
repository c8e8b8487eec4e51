"""A full disk: what is acknowledged is kept, the rest is refused."""
import asyncio
import os
import sqlite3
import subprocess

import check
import sipua
import stack

PORT = 28000
USERS = 30


def fill(path):
    """Take all the room there is; -> the file that has it"""
    name = os.path.join(path, "filler")
    with open(name, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass
        try:
            while True:
                f.write(b"x")
        except OSError:
            pass
    return name


async def register(users):
    """Register each once: {user: status}"""
    result = {}
    for user in users:
        ua = await sipua.Ua.create("127.0.0.1", user, "secret",
                                   "sip.local", ("127.0.0.1", PORT))
        try:
            await ua.register(expires=600, timeout=6)
            result[user] = 200
        except sipua.SipError as e:
            result[user] = e.status
        ua.close()
    return result


def kept(st):
    db = sqlite3.connect("file:%s/sip.db?mode=ro" % st.state, uri=True)
    try:
        return {row[0].split("@")[0] for row in
                db.execute("SELECT aor FROM location")}
    finally:
        db.close()


def full(where):
    st = stack.Stack(os.path.join(where, "full"), stack.config(PORT))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700",
                    "tmpfs", st.state], check=True)
    users = ["u%02d" % n for n in range(USERS)]
    for user in users:
        st.add_user(user, "secret")
    with st:
        third = USERS // 3
        before = asyncio.run(register(users[:third]))
        filler = fill(st.state)
        during = asyncio.run(register(users[third:third + 5]))
        status = st.ask("sip", "status")
        check.check("full disk: the sip role goes on", status and
                    status.get("state") == "ready")
        said = [l for l in st.text().splitlines() if
                "No space" in l or "full" in l]
        check.check("full disk: said", said, st.last_error())
        check.check("full disk: said once, not per request",
                    len(said) <= 10, "%d lines" % len(said))
        os.remove(filler)
        after = asyncio.run(register(users[2 * third:]))
    check.equal("before: all registered", {200}, set(before.values()))
    check.check("full disk: refused with 5xx, or kept", all(
        s == 200 or s >= 500 for s in during.values()), repr(during))
    check.check("full disk: something was refused",
                [s for s in during.values() if s != 200], repr(during))
    check.equal("room again: all registered", {200}, set(after.values()))
    have = kept(st)
    lost = [u for r in (before, during, after) for u, s in r.items()
            if s == 200 and u not in have]
    check.check("nothing acknowledged is lost", not lost, repr(lost))
    why = st.complaints()
    check.check("stops cleanly after a full disk", not why, why)


def full_from_start(where):
    st = stack.Stack(os.path.join(where, "full0"), stack.config(PORT))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700",
                    "tmpfs", st.state], check=True)
    fill(st.state)
    import start
    start.refuses("no room at all", st, 74, r"([Nn]o space|full)")


def run(where):
    for name, case in (("full disk", full),
                       ("no room at all", full_from_start)):
        with check.Case(name):
            case(where)
