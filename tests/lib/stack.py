"""The stack under test: a configuration, a process, its control sockets."""
import json
import os
import re
import socket
import subprocess
import time

import proc

ROLES = ("sip", "pbx", "media")
# What a sanitizer or libc says before a process ends badly
BAD = re.compile(r"ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|"
                 r"runtime error:|\*\*\* stack smashing|"
                 r"free\(\): |double free|Assertion .* failed")


def binary():
    """The program under test: VOIPSTACK=path, else build/voipstack."""
    top = os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))))
    return os.path.abspath(os.environ.get("VOIPSTACK") or
                           os.path.join(top, "build", "voipstack"))


def yaml(value, indent=0):
    """As much YAML as a configuration needs, in block style."""
    pad = "  " * indent
    if isinstance(value, dict):
        out = ""
        for k, v in value.items():
            if isinstance(v, (dict, list)) and v:
                out += "%s%s:\n%s" % (pad, k, yaml(v, indent + 1))
            else:
                out += "%s%s: %s\n" % (pad, k, yaml(v))
        return out
    if isinstance(value, list):
        if not value:
            return "[]"
        return "".join("%s- %s\n" % (pad, yaml(v)) for v in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return json.dumps(value)


def merge(a, b):
    """a with b over it, deep."""
    out = dict(a)
    for k, v in b.items():
        out[k] = merge(out[k], v) if isinstance(v, dict) and \
            isinstance(out.get(k), dict) else v
    return out


def config(port, media_ports=None, extra=None):
    """A stack on loopback.  port: sip; +20: pbx; +30: NG; +60: the PBX's
    own RTP; media ports from +100 on, 200 of them."""
    media_ports = media_ports or "%d-%d" % (port + 100, port + 299)
    base = {
        "node": {"role": "all"},
        "domains": ["sip.local"],
        "sip": {"listen": ["udp:127.0.0.1:%d" % port,
                           "tcp:127.0.0.1:%d" % port],
                "dispatcher": {"nodes": ["127.0.0.1:%d" % (port + 20)]},
                "media": ["127.0.0.1:%d" % (port + 30)]},
        "pbx": {"listen": ["udp:127.0.0.1:%d" % (port + 20),
                           "tcp:127.0.0.1:%d" % (port + 20)],
                "proxy": ["127.0.0.1:%d" % port],
                "ports": "%d-%d" % (port + 60, port + 99)},
        "media": {"ng": ["udp:127.0.0.1:%d" % (port + 30)],
                  "ports": media_ports},
    }
    return merge(base, extra or {})


class Stack:
    """One running stack with its own configuration and state directory."""

    def __init__(self, where, cfg, role="all", env=None, node=None):
        self.dir = where
        self.state = os.path.join(where, "state")
        self.file = os.path.join(where, "voipstack.yaml")
        self.log = os.path.join(where, "voipstack.log")
        self.role = role
        self.node = node		# of nodes: in the configuration
        self.env = dict(os.environ, **(env or {}))
        self.proc = None
        self.ready_s = None
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.write(cfg)

    def write(self, cfg):
        """At once, as an editor does: a role may be reading it."""
        self.cfg = cfg
        with open(self.file + ".new", "w") as f:
            f.write(cfg if isinstance(cfg, str) else yaml(cfg))
        os.rename(self.file + ".new", self.file)

    def argv(self, *args):
        node = ["--node=" + self.node] if self.node else []
        return [binary(), "--config=" + self.file,
                "--state=" + self.state] + node + list(args)

    def run(self, *args, stdin=None, seconds=30):
        """One command of the program: -> (exit code, what it printed)"""
        p = subprocess.run(self.argv(*args), input=stdin, text=True,
                           stdout=subprocess.PIPE, env=self.env,
                           stderr=subprocess.STDOUT, timeout=seconds)
        return p.returncode, p.stdout

    def add_user(self, user, password):
        """A new user, or another password for one that is there."""
        for verb in ("add", "passwd"):
            code, out = self.run("user", verb, user, "--password-stdin",
                                 stdin=password + "\n")
            if not code:
                return
        raise RuntimeError("user %s: %s" % (user, out.strip()))

    # ---- the process

    def start(self, seconds=20, wait=True):
        began = time.monotonic()
        role = [] if self.node else ["--role=" + self.role]
        self.proc = proc.start(self.argv("run", *role), self.log,
                               env=self.env)
        if wait:
            why = self.wait_ready(seconds)
            if why:
                raise RuntimeError(why)
            self.ready_s = time.monotonic() - began
        return self

    def roles(self):
        return ROLES if self.role == "all" else (self.role,)

    def wait_ready(self, seconds=20):
        """"" once every role is ready, else why not."""
        end = time.monotonic() + seconds
        waiting = list(self.roles())
        while waiting:
            if self.proc.poll() is not None:
                return "the stack ended with code %d: %s" % (
                    self.proc.returncode, self.last_error())
            if time.monotonic() > end:
                return "not ready after %d s: %s (%s)" % (
                    seconds, ", ".join(waiting), self.last_error())
            status = self.ask(waiting[0], "status")
            if status and status.get("state") == "ready":
                waiting.pop(0)
            else:
                time.sleep(0.01)
        return ""

    def stop(self, seconds=15):
        """TERM twice if need be; what is wrong with the way it ended, or
        """""
        if self.proc is None:
            return ""
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(seconds)
            except subprocess.TimeoutExpired:
                kids = proc.children(self.proc.pid)
                self.proc.kill()
                self.proc.wait()
                return "did not stop in %d s (%s)" % (seconds, kids)
        return self.complaints()

    def complaints(self):
        """Exit code and sanitizers' reports of the run so far."""
        text = self.text()
        m = BAD.search(text)
        if m:
            return "a sanitizer spoke: " + \
                text[m.start():m.start() + 2000].strip()
        code = self.proc.returncode
        return "exit code %d" % code if code else ""

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    # ---- what it says

    def text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def last_error(self):
        lines = [l for l in self.text().splitlines()
                 if "error" in l.lower()] or self.text().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def wait_log(self, pattern, seconds=5):
        end = time.monotonic() + seconds
        while True:
            m = re.search(pattern, self.text())
            if m or time.monotonic() > end:
                return m
            time.sleep(0.05)

    def ask(self, role, cmd, *args):
        """A command over a role's control socket; None if it is not there
        or fails."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(5)
        try:
            s.connect(os.path.join(self.state, "ctl-%s.sock" % role))
            s.sendall(json.dumps({"cmd": cmd, "args": args}).encode()
                      + b"\n")
            out = b""
            while True:
                data = s.recv(65536)
                if not data:
                    break
                out += data
            return json.loads(out.decode())
        except (OSError, ValueError):
            return None
        finally:
            s.close()

    def pid(self, role):
        status = self.ask(role, "status")
        return status.get("pid") if status else None

    def cdrs(self):
        """Rows of the CDR database, oldest first."""
        import sqlite3
        path = os.path.join(self.state, "cdr.db")
        db = sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=5)
        try:
            db.row_factory = sqlite3.Row
            return [dict(r) for r in
                    db.execute("SELECT * FROM cdr ORDER BY time")]
        finally:
            db.close()
