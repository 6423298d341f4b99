"""Streams of more than 4 GiB, compressed in chunks: libraries count in 32 bits here and there."""
import hashlib
import os
import pathlib
import random
import subprocess
import sys
import threading

import pytest

SIZE = (4 << 30) + (200 << 20) + 12345
BLOCK = 8 << 20
TOOLS = pathlib.Path(os.environ["WALSHIP_BIN"]).parent / "test"
TOOL = TOOLS / "encode_stream"


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; a stuck pipe ends by the timeout of test/soak/run."""


def wordy_block(seed):
    """Text of a dictionary's words, which compresses about as well as tables do."""
    chance = random.Random(seed)
    words = [b"%x" % chance.getrandbits(4 * chance.randrange(2, 10)) for _ in range(5000)]
    text = b" ".join(chance.choices(words, cum_weights=[i * i for i in range(1, 5001)], k=BLOCK // 4))
    return text[:BLOCK]


def blocks():
    """SIZE bytes; every block begins with its number, so no two are alike."""
    some = [wordy_block(seed) for seed in range(4)]
    for number, at in enumerate(range(0, SIZE, BLOCK)):
        yield (b"%020d" % number + some[number % len(some)])[:min(BLOCK, SIZE - at)]


def feed(process, digest):
    with process.stdin:
        for block in blocks():
            process.stdin.write(block)
            if digest is not None:
                digest.update(block)


def encoded_size(codec, level, threads):
    encode = subprocess.Popen([TOOL, codec, level, threads], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    count = subprocess.Popen(["wc", "-c"], stdin=encode.stdout, stdout=subprocess.PIPE)
    encode.stdout.close()
    feed(encode, None)
    assert encode.wait() == 0
    return int(count.communicate()[0])


def encoded(codec, level, path):
    """Writes our stream to "path" and the list of its chunks beside it; the digest of what it holds."""
    expected = hashlib.sha256()
    with open(path, "wb") as stored:
        encode = subprocess.Popen([TOOL, codec, level, "2", f"{path}.list"], stdin=subprocess.PIPE, stdout=stored)
        feeder = threading.Thread(target=feed, args=(encode, expected))
        feeder.start()
        assert encode.wait() == 0
        feeder.join()
    return expected.hexdigest()


def decoded_digest(path, *command):
    """Of what the command makes of the stream at "path"."""
    actual = hashlib.sha256()
    with open(path, "rb") as stored:
        decode = subprocess.Popen(command, stdin=stored, stdout=subprocess.PIPE)
        while step := decode.stdout.read(1 << 20):
            actual.update(step)
    assert decode.wait() == 0
    return actual.hexdigest()


@pytest.mark.parametrize("codec, level", [("brotli", "1"), ("brotli", "2"), ("zstd", "2")])
def test_more_than_4_gib_in_chunks_are_read_by_the_stock_program_and_chunk_by_chunk(codec, level, directory):
    stored = directory / "stream"
    expected = encoded(codec, level, stored)
    assert decoded_digest(stored, codec, "-dc") == expected
    assert decoded_digest(stored, TOOLS / "decode_chunks", codec, str(SIZE), f"{stored}.list") == expected
    chunked = stored.stat().st_size
    stored.unlink()
    whole = encoded_size(codec, level, "0")
    print(f"{codec} {level}: {chunked} bytes in chunks, {whole} in one piece ({chunked / whole - 1:+.2%})",
          file=sys.stderr)
    assert chunked < whole * 1.01
