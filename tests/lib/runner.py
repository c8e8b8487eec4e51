"""tests/run: groups of tests, one after another, counted.

A group is a command. Its lines "ok NAME" and "not ok NAME: why" are counted;
one that prints none, fails without a "not ok", or takes too long counts as
one failure. So does a test that says "skip NAME": here everything is meant
to run.
"""
import glob
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
LOGS = os.path.join(TOP, "build-logs")
BUDGET = {"quick": 600, "ci": 2400, "full": 6 * 3600}
TIERS = ["quick", "ci", "full"]
CPUS = os.cpu_count() or 1

# what tools/setup-machine shall see to
MACHINE = {
    "quick": ["build"],
    "ci": ["build", "tests", "cross"],
    "full": ["build", "tests", "cross", "fuzz"],
}

SANITIZE = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:"
                    "detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=66",
}


class Failure(Exception):
    pass


class Group:
    """name, the smallest tier that has it, seconds it may take, what it
    needs first, function(group) that runs it"""

    def __init__(self, name, tier, limit, needs, run):
        self.name, self.tier, self.limit = name, tier, limit
        self.needs, self.run = needs, run
        self.passed, self.failed = [], []
        self.log = os.path.join(LOGS, name + ".log")
        self.deadline = None

    def line(self, text):
        """Count one line of a test's output: True if it is good, False if
        it is bad, None if it is none."""
        m = re.match(r"(ok|not ok|skip) +(.*)", text)
        if not m:
            return None
        if m.group(1) == "ok":
            self.passed.append(m.group(2))
        elif m.group(1) == "skip":
            self.failed.append("skipped: " + m.group(2))
        else:
            self.failed.append(m.group(2))
        screen.progress(self)
        return m.group(1) == "ok"

    def command(self, argv, name=None, count=True, env=None, cwd=TOP,
                limit=None):
        """Run one command of the group; its output goes to the log. With
        count its lines are counted, else only its exit code matters."""
        name = name or os.path.basename(argv[0])
        full = dict(os.environ, **SANITIZE)
        full.update(env or {})
        seen = set()		# its own lines: others run beside it
        left = self.deadline - time.monotonic()
        left = min(left, limit) if limit else left
        with open(self.log, "ab") as log:
            log.write(("\n$ %s\n" % shlex.join(argv)).encode())
            log.flush()
            p = subprocess.Popen(argv, cwd=cwd, env=full,
                                 stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT,
                                 start_new_session=True)
            timer = threading.Timer(max(left, 0), end_session, [p.pid])
            timer.start()
            started = time.monotonic()
            try:
                for raw in p.stdout:
                    log.write(raw)
                    log.flush()
                    if count:
                        seen.add(self.line(raw.decode(
                            "utf8", "replace").rstrip()))
                code = p.wait()
            finally:
                timer.cancel()
                end_session(p.pid)
        if time.monotonic() - started >= left:
            self.failed.append("%s: not done after %d s" % (name, left))
        elif code and False not in seen:
            self.failed.append("%s: %s" % (name, ended(code)))
        elif count and not seen - {None}:
            self.failed.append("%s: ran no test" % name)
        return code

    def step(self, *argv, **kw):
        """A command that must succeed before the group can go on."""
        if self.command(list(argv), count=False, **kw):
            raise Failure


def end_session(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass


def ended(code):
    return "exit code %d" % code if code >= 0 else \
        "killed by %s" % signal.Signals(-code).name


# ---- what is seen

class Screen:
    def __init__(self):
        self.tty = sys.stdout.isatty()
        self.width = 0
        self.now = None
        self.lock = threading.Lock()

    def start(self, group, nth, count):
        self.now = (group, nth, count, time.monotonic())
        if not self.tty:
            print("[%2d/%d] %s ..." % (nth, count, group.name), flush=True)
        self.progress(group)

    def progress(self, group):
        if not self.tty or not self.now:
            return
        with self.lock:
            _, nth, count, since = self.now
            text = "[%2d/%d] %-16s %4d passed %3d failed %5d s" % (
                nth, count, group.name, len(group.passed),
                len(group.failed), time.monotonic() - since)
            sys.stdout.write("\r" + text.ljust(self.width))
            sys.stdout.flush()
            self.width = len(text)

    def end(self, group):
        _, nth, count, since = self.now
        self.now = None
        text = "[%2d/%d] %-16s %4d passed %3d failed %5d s" % (
            nth, count, group.name, len(group.passed), len(group.failed),
            time.monotonic() - since)
        print(("\r" if self.tty else "") + text.ljust(self.width))
        for name in group.failed[:40]:
            print("        not ok " + name)
        if len(group.failed) > 40:
            print("        ... and %d more" % (len(group.failed) - 40))
        if group.failed:
            self.tail(group.log)
        sys.stdout.flush()

    def tail(self, path, lines=25):
        try:
            with open(path, errors="replace") as f:
                last = f.read().splitlines()[-lines:]
        except OSError:
            return
        print("        -- the end of %s:" % os.path.relpath(path, TOP))
        for line in last:
            print("        | " + line[:200])


screen = Screen()


# ---- groups

def setup(t):
    def run(g):
        g.step(os.path.join(TOP, "tools", "setup-machine"), *MACHINE[t])
        g.passed.append("machine")
    return run


def build(flavour):
    """Configure and compile; also a changed checkout is brought up to date"""
    setup_args = {
        "release": [],
        "asan": ["-Dflavour=asan"],
        "tsan": ["-Dflavour=tsan"],
        "fuzz": ["--native-file", "tools/cross/fuzz.ini"],
        "aarch64": ["--cross-file", "tools/cross/aarch64.ini"],
    }[flavour]

    def run(g):
        where = build_dir(flavour)
        if not os.path.exists(os.path.join(where, "build.ninja")):
            g.step("meson", "setup", "-Dwerror=true", *setup_args, where)
        g.step("ninja", "-C", where)
        g.passed.append("builds")
    return run


def build_dir(flavour):
    return os.path.join(TOP, "build" if flavour == "release"
                        else "build-" + flavour)


def meson_tests(flavour, suite, wrapper=()):
    """Every test of a suite that the build knows, as many at once as CPUs"""
    def run(g):
        where = build_dir(flavour)
        out = subprocess.run(["meson", "introspect", "--tests", where],
                             cwd=TOP, capture_output=True, text=True)
        tests = [t for t in json.loads(out.stdout or "[]")
                 if suite in [s.split(":")[-1] for s in t["suite"]]]
        if not tests:
            raise Failure("meson knows no tests of suite " + suite)
        todo = sorted(tests, key=lambda t: t["name"])
        lock = threading.Lock()

        def worker():
            while True:
                with lock:
                    if not todo:
                        return
                    t = todo.pop(0)
                cmd = t["cmd"]
                if wrapper and wrapper[0] not in cmd[0]:
                    cmd = list(wrapper) + cmd
                env = {k: v for k, v in t["env"].items()}
                g.command(cmd, name=t["name"], env=env,
                          cwd=t["workdir"] or where,
                          limit=t["timeout"] * 3)

        threads = [threading.Thread(target=worker) for _ in range(CPUS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    return run


def alone(argv):
    """In a network of its own, where no port is taken; needs root"""
    if os.geteuid():
        return argv
    return ["unshare", "--net", "sh", "-c",
            'ip link set lo up && exec "$@"', "sh"] + argv


def scripts(pattern, flavour):
    """Every executable of this name, alone, with VOIPSTACK and BUILD."""
    def run(g):
        found = [p for p in sorted(glob.glob(os.path.join(TOP, pattern)))
                 if os.path.isfile(p) and os.access(p, os.X_OK)]
        if not found:
            raise Failure("there is no " + pattern)
        where = build_dir(flavour)
        for path in found:
            g.command(alone([path]), name=os.path.relpath(path, TOP), env={
                "VOIPSTACK": os.path.join(where, "voipstack"),
                "BUILD": where,
                "TIER": tier})
    return run


def fuzz_targets(flavour):
    """[(program, name, its corpus)]"""
    where = build_dir(flavour)
    found = [p for p in sorted(glob.glob(where + "/tests/fuzz/fuzz_*"))
             if os.path.isfile(p) and os.access(p, os.X_OK)]
    if not found:
        raise Failure("no fuzz target was built")
    names = [os.path.basename(p) for p in found]
    return [(p, n, os.path.join(TOP, "tests", "fuzz", "corpus", n))
            for p, n in zip(found, names)]


def fuzz_replay(g):
    """Each target over its corpus, without looking for more."""
    for path, name, corpus in fuzz_targets("asan"):
        files = glob.glob(corpus + "/*")
        if not files:
            g.failed.append("%s: has no corpus" % name)
        elif not g.command([path, corpus], name=name, count=False,
                           limit=60):
            g.passed.append("%s: %d files" % (name, len(files)))


def fuzz(g):
    """Minutes of looking for more, per target."""
    minutes = float(os.environ.get("FUZZ_MINUTES", "3"))
    for path, name, corpus in fuzz_targets("fuzz"):
        new = os.path.join(LOGS, "corpus", name)
        os.makedirs(new, exist_ok=True)
        if not g.command([path, "-max_total_time=%d" % (minutes * 60),
                          "-artifact_prefix=%s/%s-" % (LOGS, name),
                          "-print_final_stats=1", new, corpus],
                         name=name, count=False):
            g.passed.append(name)


def groups(t):
    """The table: name, tier, limit in seconds, needs, what runs it."""
    qemu = ("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu")
    rows = [
        ("setup", "quick", 600, [], setup(t)),
        ("build-asan", "quick", 900, [], build("asan")),
        ("unit", "quick", 400, ["build-asan"], meson_tests("asan", "unit")),
        ("build-release", "ci", 900, [], build("release")),
        ("checks", "ci", 300, ["build-release"],
         scripts("tests/checks/*", "release")),
        ("conf", "ci", 120, ["build-asan"],
         meson_tests("asan", "conf")),
        ("fuzz-replay", "ci", 300, ["build-asan"], fuzz_replay),
        ("quickstart", "ci", 600, ["build-release"],
         scripts("tests/quickstart/run", "release")),
        ("functional", "ci", 900, ["build-asan"],
         scripts("tests/functional/*/run", "asan")),
        ("failover", "ci", 900, ["build-release"],
         scripts("tests/failover/run", "release")),
        ("build-aarch64", "ci", 900, [], build("aarch64")),
        ("unit-aarch64", "ci", 600, ["build-aarch64"],
         meson_tests("aarch64", "unit", qemu)),
        ("build-tsan", "full", 1200, [], build("tsan")),
        ("unit-tsan", "full", 900, ["build-tsan"], meson_tests("tsan", "unit")),
        ("functional-tsan", "full", 1200, ["build-tsan"],
         # calls, and media with sessions that move between workers
         scripts("tests/functional/[cm]*/run", "tsan")),
        ("build-fuzz", "full", 1200, [], build("fuzz")),
        ("fuzz", "full", 7200, ["build-fuzz"], fuzz),
        ("peers", "full", 2400, ["build-release"],
         scripts("tests/peers/run", "release")),
        ("perf", "full", 1800, ["build-release"],
         scripts("tests/perf/run", "release")),
        ("soak", "full", 3600, ["build-release"],
         scripts("tests/soak/run", "release")),
    ]
    return [Group(*r) for r in rows if TIERS.index(r[1]) <= TIERS.index(t)]


def with_needs(table, names):
    known = {g.name: g for g in table}
    chosen = {"setup"}
    for name in names:
        if name not in known:
            sys.exit("tests/run: no group %s in tier %s (have: %s)" %
                     (name, tier, ", ".join(known)))
        chosen.add(name)
        chosen.update(known[name].needs)
    return [g for g in table if g.name in chosen]


def main(names):
    os.makedirs(LOGS, exist_ok=True)
    started = time.monotonic()
    budget = BUDGET[tier]
    table = groups(tier)
    if names:
        table = with_needs(table, names)
    broken = set()
    for nth, g in enumerate(table, 1):
        if os.path.exists(g.log):
            os.remove(g.log)
        left = budget - (time.monotonic() - started)
        g.deadline = time.monotonic() + min(g.limit, left)
        screen.start(g, nth, len(table))
        blocked = [n for n in g.needs if n in broken]
        try:
            if left <= 0:
                raise Failure("not run: the %d minutes are over"
                              % (budget // 60))
            if blocked:
                raise Failure("not run: %s failed" % blocked[0])
            g.run(g)
            if not g.passed and not g.failed:
                raise Failure("ran no test")
        except (Failure, OSError) as e:
            if str(e) or not g.failed:
                g.failed.append(str(e) or g.name)
        if g.failed:
            broken.add(g.name)
        screen.end(g)
        if g.name == "setup" and g.failed:
            break
    passed = sum(len(g.passed) for g in table)
    failed = sum(len(g.failed) for g in table)
    took = time.monotonic() - started
    if took > budget:
        failed += 1
        print("not ok the %s tier took %d s, more than its %d" %
              (tier, took, budget))
    print("%s: %d min %02d s" % (tier, took // 60, took % 60))
    print("%d passed, %d failed" % (passed, failed), flush=True)
    return 1 if failed or not passed else 0


args = sys.argv[1:]
if args and args[0] in ("-h", "--help", "help"):
    print(open(os.path.join(TOP, "tests", "run")).read()
          .split("set -eu")[0].split("\n", 1)[1].replace("# ", "")
          .replace("#", ""))
    sys.exit(0)
tier = args.pop(0) if args and args[0] in TIERS else "ci"
if args == ["list"]:
    for group in groups("full"):
        print("%-16s %-5s %s" % (group.name, group.tier,
                                 "after " + ", ".join(group.needs)
                                 if group.needs else ""))
    sys.exit(0)
sys.exit(main(args))
