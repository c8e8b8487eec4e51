"""What the checks share: our files, C without comments, listed exceptions."""
import fnmatch
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def tracked():
    """Every file of the tree, also before its first commit."""
    out = subprocess.run(["git", "-C", TOP, "ls-files", "-z", "--cached",
                          "--others", "--exclude-standard"],
                         capture_output=True, check=True).stdout
    names = {n for n in out.decode().split("\0") if n}
    return sorted(n for n in names if os.path.isfile(os.path.join(TOP, n)))


def read(name):
    with open(os.path.join(TOP, name), errors="replace") as f:
        return f.read()


def bare(text):
    """C with comments and literals blanked; lines and columns stay."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|"
                  r"'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)


class Exceptions:
    """tests/checks/exceptions.txt: check, file (a pattern), what, reason.
    One that matches nothing any more is an error too."""

    def __init__(self, check):
        self.rows = []
        for nr, line in enumerate(read("tests/checks/exceptions.txt")
                                  .splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            f = line.split(None, 3)
            if len(f) < 4:
                sys.exit("tests/checks/exceptions.txt:%d: wants check, "
                         "file, what, reason" % nr)
            if f[0] == check:
                self.rows.append([f[1], f[2], False, nr])

    def allow(self, name, what):
        hit = False
        for row in self.rows:
            if fnmatch.fnmatch(name, row[0]) and \
                    fnmatch.fnmatch(what, row[1]):
                row[2] = hit = True
        return hit

    def stale(self):
        return ["tests/checks/exceptions.txt:%d: no longer needed" % r[3]
                for r in self.rows if not r[2]]


def finish(check, complaints):
    """Print what is wrong, and the line that the runner counts."""
    for c in complaints:
        print(c)
    if complaints:
        print("not ok %s: %d complaints" % (check, len(complaints)))
        sys.exit(1)
    print("ok " + check)
