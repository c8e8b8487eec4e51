"""What keeps the stack from starting: said in one line, nothing touched."""
import hashlib
import os
import re
import shutil
import socket
import sqlite3

import check
import proc
import stack

PORT = 28000


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def why(st):
    """The lines of the log that say why it did not start."""
    return [line for line in st.text().splitlines()
            if "cannot start" in line]


def refuses(name, st, code, says, seconds=20):
    """It ends by itself with this code and one line that matches says."""
    st.start(wait=False)
    try:
        got = st.proc.wait(seconds)
    except Exception:
        proc.stop(st.proc)
        check.not_ok(name, "still runs after %d s: %s" % (
            seconds, st.last_error()))
        return
    check.equal(name + ": exit code", code, got)
    lines = why(st) or st.text().splitlines()
    hits = [line for line in lines if re.search(says, line)]
    roles = {re.search(r"role=\w+|$", line).group(0) for line in hits}
    check.check(name + ": one clear line", hits and
                len(hits) == len(roles),	# several roles may meet it
                "%d lines match %r: %s" % (len(hits), says,
                                           " / ".join(lines)[-600:]))
    if stack.BAD.search(st.text()):
        check.not_ok(name + ": clean", st.complaints())


def garbage_config(where):
    for nth, (text, says) in enumerate((
            ("\0\1\2\377 not yaml", r"voipstack.yaml"),
            ("sip: [1, 2\n", r"voipstack\.yaml:\d+:\d+"),
            ("sip:\n\tlisten: x\n", r"voipstack\.yaml:\d+:\d+"),
            ("- just\n- a list\n", r"voipstack\.yaml:\d+:\d+"),
            ("sip: {lisen: ['udp:127.0.0.1:5060']}\n",
             r"voipstack\.yaml:1:7: .*did you mean.*listen"),
            ("media: {ports: 20000-10000}\n", r"voipstack\.yaml:1:\d+"),
            ("node: &a [*a]\n", r"voipstack\.yaml:\d+:\d+"))):
        st = stack.Stack(os.path.join(where, "yaml%d" % nth), text)
        code, out = st.run("check")
        check.equal("garbage YAML %d: check's exit code" % nth, 1, code)
        check.check("garbage YAML %d: says where" % nth,
                    re.search(says, out), out)
        refuses("garbage YAML %d: run" % nth, st, 78, says)


def damaged(where, name, spoil, says, code=65):
    """Each database: made by a first run, spoiled, refused, left as it is"""
    for db in ("sip.db", "pbx.db", "cdr.db"):
        st = stack.Stack(os.path.join(where, name + "-" + db),
                         stack.config(PORT))
        with st:
            pass
        path = os.path.join(st.state, db)
        if not os.path.exists(path):
            check.not_ok("%s %s" % (name, db), "a run makes none")
            continue
        spoil(path)
        os.remove(st.log)
        before = digest(path)
        refuses("%s %s" % (name, db), st, code, says.replace("DB", db))
        check.equal("%s %s: left as it is" % (name, db), before,
                    digest(path))


def spoil_bytes(path):
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        f.write(b"This is no database" * 10)
        f.seek(size // 2)
        f.write(os.urandom(512))


def spoil_version(path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=9999")
    db.commit()
    db.close()


def busy_port(where):
    for nth, (kind, proto, offset) in enumerate((
            (socket.SOCK_DGRAM, "udp", 0), (socket.SOCK_STREAM, "tcp", 0),
            (socket.SOCK_DGRAM, "udp", 20), (socket.SOCK_DGRAM, "udp", 30))):
        s = socket.socket(socket.AF_INET, kind)
        s.bind(("127.0.0.1", PORT + offset))
        if kind == socket.SOCK_STREAM:
            s.listen()
        st = stack.Stack(os.path.join(where, "busy%d" % nth),
                         stack.config(PORT))
        refuses("busy port %s %d" % (proto, PORT + offset), st, 71,
                r"127\.0\.0\.1:%d.*(taken|in use)" % (PORT + offset))
        s.close()


def nobody(st, program):
    """Run as the user nobody, without capabilities."""
    argv = st.argv("run", "--role=all")
    argv[0] = program
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
            "--bounding-set=-all", "--inh-caps=-all"] + argv


def rights(where):
    program = os.path.join(where, "voipstack")
    shutil.copy(stack.binary(), program)
    os.chmod(program, 0o755)
    st = stack.Stack(os.path.join(where, "port"), stack.config(
        PORT, extra={"sip": {"listen": ["udp:127.0.0.1:160"]}}))
    os.chown(st.state, 65534, 65534)
    st.argv = lambda *a, argv=nobody(st, program): argv
    refuses("privileged port", st, 77, r"127\.0\.0\.1:160")

    st = stack.Stack(os.path.join(where, "statedir"), stack.config(PORT))
    os.chmod(st.state, 0o700)
    st.argv = lambda *a, argv=nobody(st, program): argv
    refuses("unwritable state directory", st, 77,
            r"state directory .*statedir/state.*[Pp]ermission")

    st = stack.Stack(os.path.join(where, "media"), stack.config(
        PORT, extra={"sip": {"listen": ["udp:192.0.2.7:5060"]}}))
    refuses("address that is not ours", st, 71, r"192\.0\.2\.7")


def twice(where):
    """A second stack on the same state directory leaves the first alone"""
    st = stack.Stack(os.path.join(where, "twice"), stack.config(PORT))
    with st:
        other = stack.Stack(os.path.join(where, "other"),
                            stack.config(PORT + 400))
        other.state = st.state
        other.start(wait=False)
        try:
            code = other.proc.wait(20)
        except Exception:
            proc.stop(other.proc)
            code = None
        check.check("second stack on one state directory: refused",
                    code not in (None, 0), "code %s" % code)
        status = st.ask("sip", "status")
        check.check("second stack on one state directory: first goes on",
                    status and status.get("state") == "ready")


def run(where):
    for name, case in (
            ("garbage YAML", garbage_config),
            ("damaged database", lambda w: damaged(
                w, "damaged", spoil_bytes, r"DB.*")),
            ("newer database", lambda w: damaged(
                w, "newer", spoil_version, r"DB.*newer")),
            ("busy port", busy_port),
            ("missing right", rights),
            ("second stack", twice)):
        with check.Case(name):
            case(where)
