"""A real telephone: Debian's baresip, without a sound card.

It plays a tone from a file, records both directions (enc: what it sends,
dec: what it hears) and is driven over its own control port.
"""
import glob
import json
import os
import re
import socket
import threading
import time

import proc
import tone

CONFIG = """\
poll_method		epoll
sip_listen		{listen}
call_max_calls		{max_calls}
call_local_timeout	120
audio_source		aufile,{source}
audio_alert		aufile,{source}
ausrc_srate		8000
auplay_srate		8000
ausrc_channels		1
auplay_channels		1
audio_txmode		poll
audio_level		no
jitter_buffer_delay	3-10
rtp_ports		{rtp}
rtp_stats		no
net_interface		{address}
module_path		{modules}
module			g711.so
module			aufile.so
module			sndfile.so
module_tmp		uuid.so
module_tmp		account.so
module_app		menu.so
module_app		ctrl_tcp.so
ctrl_tcp_listen		127.0.0.1:{control}
snd_path		{recordings}
"""


def module_path():
    for path in glob.glob("/usr/lib/baresip/modules") + \
            glob.glob("/usr/lib/*/baresip/modules"):
        return path
    return "/usr/lib/baresip/modules"


class Phone:
    """One baresip process with one account.

    port is the first of six in a row that it may use, and takes 20 more from
    port + 10 for RTP.
    """

    def __init__(self, where, name, port, server, user, password,
                 domain="sip.local", hz=440, transport="udp",
                 address="127.0.0.1", answer="manual", register=True,
                 max_calls=4, expires=3600, log=None):
        self.name = name
        self.dir = os.path.join(where, name)
        self.port = port
        self.control = port + 4
        self.hz = hz
        self.user = user
        self.domain = domain
        self.address = address
        self.events = []
        self.cond = threading.Condition()
        self.sock = None
        self.proc = None
        self.recordings = os.path.join(self.dir, "recordings")
        self.log = log or os.path.join(self.dir, "baresip.log")
        os.makedirs(self.recordings, exist_ok=True)
        source = os.path.join(self.dir, "plays.wav")
        tone.write(source, hz)
        host = "[%s]" % address if ":" in address else address
        with open(os.path.join(self.dir, "config"), "w") as f:
            f.write(CONFIG.format(
                listen="%s:%d" % (host, port), max_calls=max_calls,
                source=source, address=address, modules=module_path(),
                rtp="%d-%d" % (port + 10, port + 30),
                control=self.control, recordings=self.recordings))
        account = "<sip:%s@%s;transport=%s>" % (user, domain, transport)
        if server:
            account += ';outbound="sip:%s;transport=%s"' % (server, transport)
        account += ";auth_user=%s;auth_pass=%s" % (user, password)
        account += ";regint=%d;answermode=%s" % (expires if register else 0,
                                                 answer)
        account += ";audio_codecs=PCMU/8000/1,PCMA/8000/1;ptime=20\n"
        path = os.path.join(self.dir, "accounts")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(account)

    # ---- the process

    def start(self, seconds=10):
        self.proc = proc.start(["baresip", "-f", self.dir], self.log)
        end = time.monotonic() + seconds
        while True:
            try:
                self.sock = socket.create_connection(
                    ("127.0.0.1", self.control), 1)
                break
            except OSError:
                if time.monotonic() > end or self.proc.poll() is not None:
                    raise RuntimeError("%s does not start: see %s"
                                       % (self.name, self.log))
                time.sleep(0.05)
        self.sock.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def stop(self):
        if self.sock:
            try:
                self.command("quit")
                self.proc.wait(2)
            except Exception:
                pass
            self.sock.close()
            self.sock = None
        proc.stop(self.proc)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def _read(self):
        """Netstrings of JSON: "12:{...}," """
        buf = b""
        sock = self.sock
        while True:
            try:
                data = sock.recv(65536)
            except OSError:
                data = b""
            if not data:
                return
            buf += data
            while b":" in buf:
                size, _, rest = buf.partition(b":")
                if len(rest) < int(size) + 1:
                    break
                try:
                    ev = json.loads(rest[:int(size)].decode("utf8",
                                                            "replace"))
                except ValueError:
                    ev = {}
                buf = rest[int(size) + 1:]
                ev["at"] = time.monotonic()
                with self.cond:
                    self.events.append(ev)
                    self.cond.notify_all()

    def command(self, name, params=""):
        text = json.dumps({"command": name, "params": params}).encode()
        self.sock.sendall(b"%d:%s," % (len(text), text))

    # ---- what happens

    def wait(self, *types, seconds=10, since=0):
        """The first event of one of these types; None if it does not come.
        since: index into events (see mark())"""
        end = time.monotonic() + seconds
        with self.cond:
            while True:
                for ev in self.events[since:]:
                    if ev.get("type") in types:
                        return ev
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self.cond.wait(left)

    def mark(self):
        with self.cond:
            return len(self.events)

    def text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def registered(self, seconds=10):
        """"" if it is registered, else why not.  By its log: the first
        answer may come before its control port is open."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            m = re.search(r"%s@%s: .*?(\d\d\d) ([^(\n]*)" % (
                re.escape(self.user), re.escape(self.domain)), self.text())
            if m:
                return "" if m.group(1) == "200" else \
                    (m.group(1) + " " + m.group(2)).strip()
            time.sleep(0.01)
        return "no answer to REGISTER in %d s" % seconds

    # ---- what a person does

    def dial(self, number):
        """-> mark of the events that follow"""
        since = self.mark()
        if "@" not in number:
            number = "sip:%s@%s" % (number, self.domain)
        self.command("dial", number)
        return since

    def answer(self):
        self.command("accept")

    def hangup(self):
        self.command("hangup")

    def recording(self, kind="dec"):
        """The latest recording: "dec" heard, "enc" sent; None if none."""
        found = glob.glob(os.path.join(self.recordings,
                                       "dump-*-%s.wav" % kind))
        return max(found, key=os.path.getmtime) if found else None

    def forget_recordings(self):
        for path in glob.glob(os.path.join(self.recordings, "*.wav")):
            os.remove(path)
