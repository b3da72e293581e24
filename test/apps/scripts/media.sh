# A recorder writes a long stream, goes back to its header, and moves an index to the front.

work() {
  python3 - "$LOCAL/expected" <<'END'
import os, struct, sys

def record(path, frames, sync):
    """Write as muxers do: a header that is not known yet, frames, an index, the header again."""
    with open(path, "wb", buffering=1 << 15) as f:
        f.write(b"\0" * 64)
        index = []
        for i in range(frames):
            index.append(f.tell())
            f.write(struct.pack(">QI", i, 50_000 + i) + bytes([i % 251]) * (50_000 + i))
            if i % 100 == 99:  # players that follow want a header
                end = f.tell()
                f.seek(16)
                f.write(struct.pack(">Q", end))
                f.seek(end)
        where = f.tell()
        f.write(b"".join(struct.pack(">Q", at) for at in index))
        f.seek(0)
        f.write(b"MEDIA\0\0\0" + struct.pack(">QQ", len(index), where))
        if sync:
            f.flush()
            os.fsync(f.fileno())

def faststart(path):
    """Move the index behind the header, through the same file, from its end on."""
    with open(path, "r+b") as f:
        f.seek(8)
        frames, where = struct.unpack(">QQ", f.read(16))
        f.seek(where)
        index = f.read()
        pos = where
        while pos > 64:
            n = min(1 << 20, pos - 64)
            pos -= n
            f.seek(pos)
            data = f.read(n)
            f.seek(pos + len(index))
            f.write(data)
        f.seek(64)
        f.write(index)

for path in ("movie", sys.argv[1]):
    record(path, 400, path == "movie")
    faststart(path)
END
  check
}

check() { cmp movie "$LOCAL/expected"; }
