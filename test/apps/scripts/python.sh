# Archives and data files that are written here and there: zipfile, random records, a mapping.

work() {
  python3 - "$LOCAL/expected" <<'END'
import mmap, os, random, shelve, sys, zipfile

def archive(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for i in range(50):
            z.writestr(zipfile.ZipInfo(f"dir/{i}"), f"{i} " * 5000)
    with zipfile.ZipFile(path, "a") as z:  # over the directory at the end
        z.writestr(zipfile.ZipInfo("more"), b"more" * 100_000)
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None and len(z.namelist()) == 51

def dataset(path):
    """Chunks in random order, then changed in place, as HDF5 does."""
    dice, chunk, chunks = random.Random(7), 32 << 10, 300
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    order = list(range(chunks))
    dice.shuffle(order)
    for i in order:
        os.pwrite(fd, dice.randbytes(chunk), 2048 + i * chunk)
    for _ in range(500):
        os.pwrite(fd, dice.randbytes(dice.randrange(1, 3000)), dice.randrange(chunks * chunk))
        if dice.randrange(100) == 0:
            os.fsync(fd)
    os.ftruncate(fd, chunks * chunk - 1234)
    os.pwrite(fd, b"HDF-like", 0)
    with mmap.mmap(fd, 0) as m:
        for _ in range(200):
            at = dice.randrange(len(m) - 8)
            m[at:at + 8] = dice.randbytes(8)
        m.flush()
    os.close(fd)

for root in (".", sys.argv[1]):
    os.makedirs(root, exist_ok=True)
    archive(root + "/a.zip")
    dataset(root + "/data")

with shelve.open("shelf") as s:
    for i in range(200):
        s[str(i % 50)] = [i] * 100
with shelve.open("shelf") as s:
    assert len(s) == 50 and s["7"][0] == 157
END
  check
}

check() {
  cmp a.zip "$LOCAL/expected/a.zip"
  cmp data "$LOCAL/expected/data"
  python3 -c 'import shelve; s = shelve.open("shelf", "r"); assert len(s) == 50 and s["7"][0] == 157'
  python3 -m zipfile -t a.zip >/dev/null
}
