"""Processes that end when we end, whatever kills us."""
import ctypes
import os
import signal
import subprocess

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_parent = os.getpid()


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _parent:	# it died in between
        os._exit(1)


def start(argv, log=None, **kw):
    """Popen without stdin; output goes to the file log (appended)."""
    out = open(log, "ab") if log else subprocess.DEVNULL
    try:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT,
                                preexec_fn=_die_with_parent, **kw)
    finally:
        if log:
            out.close()


def stop(p, seconds=5):
    """TERM, then KILL; returns the exit code."""
    if p is None or p.poll() is not None:
        return p.returncode if p else None
    p.terminate()
    try:
        return p.wait(seconds)
    except subprocess.TimeoutExpired:
        p.kill()
        return p.wait()


def children(pid):
    """Direct children: [(pid, command line)]."""
    found = []
    for d in os.listdir("/proc"):
        if not d.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % d) as f:
                ppid = int(f.read().rpartition(")")[2].split()[1])
            if ppid == pid:
                with open("/proc/%s/cmdline" % d) as f:
                    found.append((int(d), f.read().replace("\0", " ")))
        except OSError:
            pass
    return found


def rss_kb(pid):
    """Resident memory in kB, 0 if there is no such process."""
    try:
        with open("/proc/%d/status" % pid) as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0
