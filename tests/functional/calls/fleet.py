"""Three machines: each role alone, with its own address and state directory,
from one file."""
import os
import time

import check
import phone
import stack
from scene import SECRET, hears

SIP, MEDIA, PBX = "127.0.0.10", "127.0.0.20", "127.0.0.30"
PORT = 29000
CONFIG = {
    "nodes": {
        "sip-1": {"role": "sip", "internal": SIP},
        "media-1": {"role": "media", "internal": MEDIA},
        "pbx-1": {"role": "pbx", "internal": PBX},
    },
    "domains": ["sip.local"],
    "sip": {"listen": ["udp:%s:5060" % SIP, "tcp:%s:5060" % SIP]},
    "media": {"ng": ["udp:%s:2223" % MEDIA]},
}


def nodes(where):
    return {name: stack.Stack(os.path.join(where, name), CONFIG, role=role,
                              node=name)
            for name, role in (("media-1", "media"), ("pbx-1", "pbx"),
                               ("sip-1", "sip"))}


def call(where, sip, media, pbx):
    secret = SECRET.replace(" ", "")
    a, b = (phone.Phone(where, name, PORT + offset, SIP + ":5060", name,
                        secret, hz=hz, answer=answer)
            for name, offset, hz, answer in (
                ("alice", 300, 440, "manual"), ("bob", 340, 587, "auto")))
    with a, b:
        check.equal("fleet: registered", ("", ""),
                    (a.registered(), b.registered()))
        mark = a.dial("bob")
        check.check("fleet: connected", a.wait("CALL_ESTABLISHED",
                                               since=mark))
        time.sleep(2)
        rows = (media.ask("media", "sessions") or {}).get("sessions", [])
        check.check("fleet: media on its own node", rows and all(
            r["local"].startswith(MEDIA) and r["packets"] > 50
            for r in rows), repr(rows)[:300])
        a.hangup()
        check.check("fleet: hung up", b.wait("CALL_CLOSED"))
    hears("fleet", a, b)
    hears("fleet", b, a)
    rows = check.until(lambda: [r for r in pbx.cdrs() if r["end_time"]], 3)
    check.check("fleet: CDR on the pbx node", rows and
                rows[0]["disposition"] == "ANSWERED")


def run(where):
    where = os.path.join(where, "fleet")
    with check.Case("fleet"):
        all_nodes = nodes(where)
        sip = all_nodes["sip-1"]
        try:
            for user in ("alice", "bob"):
                sip.add_user(user, SECRET.replace(" ", ""))
            for st in all_nodes.values():
                st.start()
            check.until(lambda: (sip.ask("sip", "status") or {})
                        .get("media_nodes_up") and sip.ask(
                            "sip", "status").get("pbx_nodes_up"), 5)
            call(where, sip, all_nodes["media-1"], all_nodes["pbx-1"])
        finally:
            for name, st in all_nodes.items():
                why = st.stop()
                check.check("fleet: %s stops cleanly" % name, not why, why)
