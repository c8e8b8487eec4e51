"""tools/quickstart: build the stack, start it, let two telephones talk.

usage: tools/quickstart [options]

  --port-base=N     first of 400 ports to use (default: 15060, or the next
                    that is free)
  --seconds=N       how long the call lasts (default 8)
  --state=DIR       where files go (default state/quickstart)
  --break=WHAT      break something on purpose, to see that the report finds
                    it: media  the media role stands still during the call
                        tone   one telephone is silent
                        cdr    the call's records are taken from the store
                        auth   one telephone has a wrong password
  --no-build        use build/voipstack, or $VOIPSTACK, as it is

Exit code 0 only if everything in the report is good.
"""
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))

import phone			# noqa: E402
import proc			# noqa: E402
import stack			# noqa: E402
import tone			# noqa: E402

BREAKS = ("media", "tone", "cdr", "auth")
ALICE_HZ, BOB_HZ = 440, 587
TTY = sys.stdout.isatty()
COLOUR = TTY and "NO_COLOR" not in os.environ and \
    os.environ.get("TERM", "dumb") != "dumb"
UTF8 = "utf" in (sys.stdout.encoding or "").lower()
GOOD, WRONG = ("✔", "✘") if UTF8 else ("ok", "!!")


class Stop(Exception):
    """What went wrong, for a person."""


def paint(code, text):
    return "\033[%sm%s\033[0m" % (code, text) if COLOUR else text


def green(text):
    return paint("32", text)


def red(text):
    return paint("1;31", text)


def bold(text):
    return paint("1", text)


def dim(text):
    return paint("2", text)


def rel(path):
    """As one would type it here."""
    short = os.path.relpath(path)
    return path if short.startswith("../..") else short


# ---- steps, with progress

class Step:
    """One line: what is done now, then how it went and how long it took."""

    def __init__(self, name, text=""):
        self.name = name
        self.began = time.monotonic()
        self.shown = 0
        self.update(text)

    def update(self, text):
        if TTY:
            line = "  %-10s %s" % (self.name, text)
            width = shutil.get_terminal_size().columns - 1
            line = line[:width]
            sys.stdout.write("\r" + line.ljust(self.shown))
            sys.stdout.flush()
            self.shown = len(line)

    def end(self, text, good=True, took=None):
        took = time.monotonic() - self.began if took is None else took
        mark = green(GOOD) if good else red(WRONG)
        if TTY:
            sys.stdout.write("\r" + " " * self.shown + "\r")
        text = "%-52s" % text if took else text
        print("  %-10s %s %s %s" % (self.name, mark, text, dim(
            "%.1f s" % took if took >= 1 else "%.0f ms" % (took * 1000))
            if took else ""))
        sys.stdout.flush()


def quiet(step, argv, log, pattern=None):
    """Run a command, its output into a log; pattern's first match in a line
    is shown as progress."""
    with open(log, "ab") as f:
        p = subprocess.Popen(argv, cwd=TOP, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        last = []
        for raw in p.stdout:
            f.write(raw)
            line = raw.decode("utf8", "replace").rstrip()
            last = (last + [line])[-12:]
            m = re.search(pattern, line) if pattern else None
            if m:
                step.update(m.group(1))
    if p.wait():
        step.end("failed", False)
        raise Stop("%s failed; the end of %s:\n%s" % (
            argv[0], rel(log), "\n".join("    " + l for l in last)))


def machine(log):
    step = Step("machine", "looking for packages")
    quiet(step, [os.path.join(TOP, "tools", "setup-machine"), "build",
                 "quickstart"], log, r"((?:installing|Unpacking) \S+)")
    step.end("what it needs is installed")


def build(log):
    step = Step("build", "the first time this takes minutes")
    where = os.path.join(TOP, "build")
    if not TTY and not os.path.exists(where + "/build.ninja"):
        print("  build      the first time this takes minutes", flush=True)
    if not os.path.exists(os.path.join(where, "build.ninja")):
        quiet(step, ["meson", "setup", where], log, r"(?:deps: )(.*)")
    quiet(step, ["ninja", "-C", where, "voipstack"], log,
          r"^\[(\d+/\d+)\]")
    size = os.path.getsize(stack.binary()) / 1e6
    step.end("%s, one static file of %.1f MB" % (rel(stack.binary()), size))


# ---- the stage

def ports_free(base):
    for kind, offset in ((socket.SOCK_DGRAM, 0), (socket.SOCK_STREAM, 0),
                         (socket.SOCK_DGRAM, 20), (socket.SOCK_DGRAM, 30),
                         (socket.SOCK_DGRAM, 100), (socket.SOCK_DGRAM, 300),
                         (socket.SOCK_STREAM, 304),
                         (socket.SOCK_DGRAM, 340),
                         (socket.SOCK_STREAM, 344)):
        s = socket.socket(socket.AF_INET, kind)
        if kind == socket.SOCK_STREAM:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", base + offset))
        except OSError:
            return False
        finally:
            s.close()
    return True


def choose_ports(wanted):
    for base in [wanted] if wanted else range(15060, 60000, 1000):
        if ports_free(base):
            return base
    raise Stop("ports from %d on are taken; choose others with "
               "--port-base=N" % (wanted or 15060))


def passwords(where):
    """Kept in a file of mode 0600, made on the first run."""
    path = os.path.join(where, "passwords")
    found = {}
    if os.path.exists(path):
        with open(path) as f:
            found = dict(line.split() for line in f if line.strip())
    for user in ("alice", "bob"):
        found.setdefault(user, secrets.token_hex(10))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(fd, 0o600)
    with os.fdopen(fd, "w") as f:
        for user, secret in found.items():
            f.write("%s %s\n" % (user, secret))
    return path, found


def local_networks():
    """(own address, network) of this machine's first default route."""
    try:
        with open("/proc/net/route") as f:
            rows = [l.split() for l in f.readlines()[1:]]
    except OSError:
        rows = []

    def address(text):
        return socket.inet_ntoa(struct.pack("<I", int(text, 16)))

    via = [r[0] for r in rows if r[1] == "00000000"]
    for r in rows:
        if via and r[0] == via[0] and r[7] != "00000000":
            bits = bin(int(r[7], 16)).count("1")
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                s.connect((address(r[1])[:-1] + "1", 9))
                return s.getsockname()[0], "%s/%d" % (address(r[1]), bits)
            except OSError:
                pass
            finally:
                s.close()
    return None, None


# ---- the report

class Report:
    def __init__(self):
        self.rows = []

    def add(self, name, text, good=True, why=None):
        """why: what to call it when it is not good"""
        self.rows.append((name, text, good, why or name))

    def show(self):
        print()
        print(bold("  Report"))
        for name, text, good, _ in self.rows:
            print("  %s %-20s %s" % (green(GOOD) if good else red(WRONG),
                                     name, text if good else red(text)))
        print()
        return [why for _, _, good, why in self.rows if not good]


def flows(st):
    """What the media role has counted, per flow; None if it does not say"""
    answer = st.ask("media", "sessions")
    return answer.get("sessions", []) if answer else None


def flow_from(rows, telephone):
    """The flow whose packets come from this telephone."""
    ports = range(telephone.port + 10, telephone.port + 31)
    for r in rows:
        if r.get("type") == "audio" and int(
                r["remote"].rpartition(":")[2] or 0) in ports:
            return r
    return None


def report_registrations(rep, results):
    good = [n for n, why in results.items() if not why]
    text = ", ".join("%s: %s" % (n, why or "200") for n, why in
                     results.items())
    rep.add("registrations", "%d of %d with password (%s)" % (
        len(good), len(results), text),
        len(good) == len(results), "registration with password")
    return len(good) == len(results)


def report_media(rep, rows, alice, bob, seconds):
    if rows is None:
        rep.add("RTP", "the media role does not answer", False,
                "media role")
        return
    for talker, listener in ((alice, bob), (bob, alice)):
        name = "RTP %s -> %s" % (talker.name, listener.name)
        r = flow_from(rows, talker)
        if not r:
            rep.add(name, "the media role knows no such flow", False)
            continue
        rep.add(name, "%d packets, %d lost, jitter %.1f ms, MOS %.2f" % (
            r["packets"], r["lost"], r["jitter_ms"], r["mos"]),
            r["packets"] > 40 * seconds and r["mos"] > 4)


def report_tone(rep, listener, hz, own, speaker):
    name = "%d Hz at %s" % (hz, listener.name)
    path = listener.recording("dec")
    try:
        there = tone.share(path, hz) if path else None
        echo = tone.share(path, own) if path else None
    except (OSError, ValueError):
        there = None
    if there is None:
        rep.add(name, "%s has recorded nothing" % listener.name, False,
                "tone of " + speaker)
        return
    rep.add(name, "%s's tone in %.0f %% of %s's recording, its own in "
            "%.0f %%" % (speaker, there * 100, listener.name, echo * 100),
            there > 0.9 and echo < 0.05, "tone of " + speaker)


def report_cdr(rep, st, since_us):
    rows = []
    end = time.monotonic() + 3
    why = "no row of this call"
    while time.monotonic() < end:
        try:
            rows = [r for r in st.cdrs() if r["time"] >= since_us
                    and r["end_time"]]
        except Exception as e:
            why = str(e)
        if rows:
            break
        time.sleep(0.1)
    if not rows:
        rep.add("CDR", why, False)
        return
    r = rows[0]
    rep.add("CDR", "%s -> %s %s, %d s, SIP %d, ended by %s" % (
        r["caller"], r["callee"], r["disposition"], r["billsec"],
        r["sip_code"], r["hangup"]),
        r["disposition"] == "ANSWERED" and "alice" in r["caller"] and
        "bob" in r["callee"])


def report_memory(rep, pids):
    sizes = ["%s %.1f MB" % (role, proc.rss_kb(pid) / 1000.0)
             for role, pid in pids.items()]
    rep.add("memory", ", ".join(sizes), all(
        proc.rss_kb(p) for p in pids.values()))


# ---- the play

class Play:
    def __init__(self, where, base, seconds, broken):
        self.where, self.base = where, base
        self.seconds, self.broken = seconds, broken
        self.rep = Report()
        self.stopped = None

    def run(self):
        self.prepare()
        try:
            self.start()
            self.users()
            try:
                self.telephones()
                if self.register():
                    self.call()
            finally:
                for p in (self.alice, self.bob):
                    p.stop()
                self.wake()
        finally:
            self.st.stop()
        return self.rep.show()

    def prepare(self):
        where = self.where
        os.makedirs(where, mode=0o700, exist_ok=True)
        for name in ("alice", "bob"):
            shutil.rmtree(os.path.join(where, name), ignore_errors=True)
        self.file, self.secret = passwords(where)
        self.st = stack.Stack(where, stack.config(self.base))
        if os.path.exists(self.st.log):
            os.remove(self.st.log)

    def start(self):
        step = Step("start", "starting sip, pbx and media")
        try:
            self.st.start()
        except RuntimeError as e:
            step.end("does not start", False)
            raise Stop("%s\nIts log is %s" % (e, rel(self.st.log)))
        self.pids = {r: self.st.pid(r) for r in stack.ROLES}
        step.end("sip, pbx and media are ready on 127.0.0.1:%d" % self.base,
                 took=self.st.ready_s)

    def users(self):
        step = Step("users")
        try:
            for user, secret in self.secret.items():
                self.st.add_user(user, secret)
        except RuntimeError as e:
            step.end("failed", False)
            raise Stop(str(e))
        step.end("%s, passwords in %s" % (" and ".join(self.secret),
                                          rel(self.file)))

    def telephones(self):
        server = "127.0.0.1:%d" % self.base
        wrong = "wrong" if self.broken == "auth" else self.secret["bob"]
        self.alice = phone.Phone(self.where, "alice", self.base + 300,
                                 server, "alice", self.secret["alice"],
                                 hz=ALICE_HZ)
        self.bob = phone.Phone(self.where, "bob", self.base + 340, server,
                               "bob", wrong, answer="auto",
                               hz=0 if self.broken == "tone" else BOB_HZ)

    def register(self):
        step = Step("telephones", "starting two baresip")
        results = {}
        for p in (self.alice, self.bob):
            try:
                p.start()
            except (RuntimeError, OSError) as e:
                step.end("a telephone does not start", False)
                raise Stop(str(e))
            results[p.name] = p.registered()
        good = report_registrations(self.rep, results)
        step.end("alice and bob have registered" if good
                 else "not registered", good)
        if not good:
            self.rep.add("call", "not tried", False)
        return good

    def call(self):
        since_us = int(time.time() * 1e6)
        step = Step("call", "alice calls bob")
        mark = self.alice.dial("bob")
        ev = self.alice.wait("CALL_ESTABLISHED", "CALL_CLOSED", since=mark,
                             seconds=15)
        if ev is None or ev["type"] == "CALL_CLOSED":
            why = ev.get("param", "") if ev else "no answer in 15 s"
            step.end("failed: " + why, False)
            self.rep.add("INVITE to 200", why, False, "call")
            report_memory(self.rep, self.pids)
            return
        sent = self.alice.wait("CALL_LOCAL_SDP", since=mark)
        took = ev["at"] - sent["at"]
        self.rep.add("INVITE to 200", "%.0f ms" % (took * 1000))
        step.end("bob has answered", took=took)
        if self.broken == "media":
            self.stopped = self.pids["media"]
            os.kill(self.stopped, signal.SIGSTOP)
        self.talk()
        rows = flows(self.st) if not self.stopped else None
        memory = {r: p for r, p in self.pids.items()}
        self.hang_up()
        report_media(self.rep, rows, self.alice, self.bob, self.seconds)
        report_tone(self.rep, self.bob, ALICE_HZ, BOB_HZ, "alice")
        report_tone(self.rep, self.alice, BOB_HZ, ALICE_HZ, "bob")
        if self.broken == "cdr":
            self.lose_cdrs()
        report_cdr(self.rep, self.st, since_us)
        report_memory(self.rep, memory)

    def talk(self):
        step = Step("talk")
        began = time.monotonic()
        while True:
            gone = time.monotonic() - began
            if gone >= self.seconds:
                break
            width = 24
            full = int(width * gone / self.seconds)
            step.update("%s%s alice plays %d Hz, bob %d Hz" % (
                "=" * full, "." * (width - full), ALICE_HZ, BOB_HZ))
            time.sleep(0.2)
        step.end("both play their tone and record the other")

    def hang_up(self):
        step = Step("hang up")
        self.alice.hangup()
        ev = self.bob.wait("CALL_CLOSED", seconds=5)
        step.end("alice has hung up" if ev
                 else "bob did not notice that alice hung up", bool(ev))
        if not ev:
            self.rep.add("hang up", "bob got no BYE in 5 s", False)
        time.sleep(0.2)

    def lose_cdrs(self):
        """--break=cdr: somebody empties the table."""
        import sqlite3
        time.sleep(0.5)
        db = sqlite3.connect(os.path.join(self.st.state, "cdr.db"),
                             timeout=5)
        db.execute("DELETE FROM cdr")
        db.commit()
        db.close()

    def wake(self):
        if self.stopped:
            os.kill(self.stopped, signal.SIGCONT)


# ---- afterwards

def lan_config(where, st):
    """A second configuration: the same users, served to this network."""
    own, network = local_networks()
    path = os.path.join(where, "telephones.yaml")
    cfg = {
        "node": {"role": "all"},
        "domains": ["sip.local"],
        "sip": {"listen": ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"]},
    }
    if own:
        cfg["node"]["internal"] = own
        cfg["networks"] = {"internal": [network]}
    with open(path, "w") as f:
        f.write("# Made by tools/quickstart: for telephones of your own\n")
        f.write(stack.yaml(cfg))
    return path, own, network


def what_next(where, st, secret_file):
    path, own, network = lan_config(where, st)
    print(bold("  To keep it running"))
    print("    %s --config=%s --state=%s" % (
        rel(stack.binary()), rel(path), rel(st.state)))
    print()
    print(bold("  To register your own telephone"))
    print("    server     %s, port 5060, UDP or TCP (as outbound proxy or"
          % (own or "this machine's address"))
    print("               registrar), domain sip.local")
    print("    user       alice or bob, password in %s" % rel(secret_file))
    print("               another one: %s --state=%s user add carol"
          % (rel(stack.binary()), rel(st.state)))
    print("    network    %s is served without encryption; others:"
          % (network or "loopback"))
    print("               add them to networks.internal in %s" % rel(path))
    print()


def options(argv):
    opt = {"port-base": None, "seconds": "8", "break": None, "state":
           os.path.join(TOP, "state", "quickstart"), "no-build": False}
    for a in argv:
        if a in ("-h", "--help"):
            print(__doc__.split("\n\n", 1)[1])
            sys.exit(0)
        m = re.fullmatch(r"--([a-z-]+)(?:=(.+))?", a)
        if not m or m.group(1) not in opt or \
           (m.group(2) is None) != (m.group(1) == "no-build"):
            sys.exit("tools/quickstart: what is %s? See --help" % a)
        opt[m.group(1)] = m.group(2) or True
    if opt["break"] not in BREAKS + (None,):
        sys.exit("tools/quickstart: --break= is one of " +
                 ", ".join(BREAKS))
    try:
        opt["seconds"] = int(opt["seconds"])
        opt["port-base"] = int(opt["port-base"] or 0)
    except ValueError:
        sys.exit("tools/quickstart: --seconds= and --port-base= are numbers")
    return opt


def main(argv):
    opt = options(argv)
    where = os.path.abspath(opt["state"])
    os.makedirs(where, mode=0o700, exist_ok=True)
    print(bold("\n  voipstack quickstart\n"))
    if not opt["no-build"]:
        log = os.path.join(where, "build.log")
        if os.path.exists(log):
            os.remove(log)
        machine(log)
        build(log)
    base = choose_ports(opt["port-base"])
    play = Play(where, base, opt["seconds"], opt["break"])
    wrong = play.run()
    if wrong:
        print(red("  FAILED: " + ", ".join(dict.fromkeys(wrong))))
        print("  Logs: %s" % ", ".join(
            rel(p) for p in (play.st.log, play.alice.log, play.bob.log)))
        print()
        return 1
    print(green("  All of it works."))
    print()
    what_next(where, play.st, play.file)
    return 0


try:
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
except Stop as e:
    print("\n" + red("  FAILED: ") + str(e) + "\n")
    sys.exit(1)
except KeyboardInterrupt:
    print("\n  stopped")
    sys.exit(130)
