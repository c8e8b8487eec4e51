"""Tones: write one into a WAV file, find one in a recording (Goertzel)."""
import array
import math
import os
import wave

RATE = 8000
WINDOW = RATE // 10		# 100 ms: resolves tones 20 Hz apart


def write(path, hz, seconds=60, volume=0.3):
    """A mono file of 16 bits with one tone; hz 0 is silence."""
    n = RATE * seconds
    step = 2 * math.pi * hz / RATE
    top = 32767 * volume
    data = array.array("h", (int(top * math.sin(step * i))
                             for i in range(n)))
    with wave.open(path, "wb") as w:
        w.setparams((1, 2, RATE, n, "NONE", ""))
        w.writeframes(data.tobytes())


def read(path):
    """Samples of a recording, also of one whose header was never closed."""
    with open(path, "rb") as f:
        head = f.read(44)
        rate = int.from_bytes(head[24:28], "little")
        if head[:4] != b"RIFF" or head[20:22] != b"\1\0" or \
           head[22:24] != b"\1\0" or head[34:36] != b"\x10\0":
            raise ValueError("%s: not a mono PCM file" %
                             os.path.basename(path))
        body = f.read()
    data = array.array("h")
    data.frombytes(body[:len(body) & ~1])
    return rate, data


def _goertzel(block, hz, rate):
    """Energy of one frequency, in the unit of sum(x * x)."""
    c = 2 * math.cos(2 * math.pi * hz / rate)
    s1 = s2 = 0.0
    for x in block:
        s1, s2 = x + c * s1 - s2, s1
    return 2 * (s1 * s1 + s2 * s2 - c * s1 * s2) / len(block)


def share(path, hz, skip=0.5):
    """In which part of the recording (0..1) the tone holds most of the
    energy, without the first moments; None if there is no recording."""
    rate, data = read(path)
    blocks = hits = 0
    for i in range(int(rate * skip), len(data) - WINDOW, WINDOW):
        block = data[i:i + WINDOW]
        total = sum(x * x for x in block)
        blocks += 1
        if total > 100 * 100 * WINDOW and \
           _goertzel(block, hz, rate) > 0.7 * total:
            hits += 1
    return hits / blocks if blocks else None


def pitch(path, low=300, high=3000, skip=0.5):
    """The strongest frequency of a recording in Hz, to 1 Hz; 0 if silent."""
    rate, data = read(path)
    block = data[int(rate * skip):int(rate * (skip + 1))]
    if len(block) < rate // 2 or max(map(abs, block)) < 100:
        return 0
    best = 0
    width = 20
    candidates = range(low, high, width)
    for width in (10, 1):
        scored = [(_goertzel(block[:rate // (2 * width)] if width > 5
                             else block, hz, rate), hz)
                  for hz in candidates]
        best = max(scored)[1]
        candidates = range(best - 2 * width, best + 2 * width)
    return best


def seconds(path):
    rate, data = read(path)
    return len(data) / rate
