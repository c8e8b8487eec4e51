"""Lines that tests/run counts."""
import os
import shutil
import sys
import tempfile
import time
import traceback

failures = 0


def ok(name):
    print("ok " + name, flush=True)


def not_ok(name, why):
    global failures
    failures += 1
    print("not ok %s: %s" % (name, str(why).strip().replace("\n", " | ")),
          flush=True)


def check(name, good, why="not so"):
    """One line; returns good."""
    if good:
        ok(name)
    else:
        not_ok(name, why)
    return good


def equal(name, expected, actual):
    return check(name, expected == actual,
                 "expected %r, got %r" % (expected, actual))


def until(condition, seconds=5, step=0.05):
    """Wait until condition() is true; its last value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


class Case:
    """with Case(name): an exception becomes one "not ok"."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.before = failures
        return self

    def __exit__(self, kind, value, tb):
        if kind is None or not issubclass(kind, Exception):
            return False
        where = traceback.extract_tb(tb)[-1]
        not_ok(self.name, "%s: %s (%s:%d)" % (
            kind.__name__, value, os.path.basename(where.filename),
            where.lineno))
        return True


def scratch(name):
    """A directory of this test, removed at the end unless KEEP is set."""
    base = os.environ.get("TMPDIR", "/tmp")
    path = tempfile.mkdtemp(prefix="voipstack-%s-" % name, dir=base)
    if os.environ.get("KEEP"):
        print("# files are kept in " + path, flush=True)
    else:
        import atexit
        atexit.register(shutil.rmtree, path, True)
    return path


def done():
    sys.exit(1 if failures else 0)
