# Messages are delivered by several programs, read, marked and removed.

work() {
  python3 - "$MANY" <<'END'
import os, sys, threading

many, writers = int(sys.argv[1]), 4
for d in ("tmp", "new", "cur"):
    os.makedirs("mail/" + d)

def body(i):
    return f"Message-ID: <{i}@example.org>\nSubject: {i}\n\n" + f"line of {i}\n" * (i % 40)

def deliver(w):
    for i in range(w, many, writers):
        name = f"{1_700_000_000 + i}.M{i}.host"
        with open("mail/tmp/" + name, "x") as f:
            f.write(body(i))
            f.flush()
            os.fsync(f.fileno())
        os.rename("mail/tmp/" + name, "mail/new/" + name)

failed = []
threading.excepthook = lambda args: (failed.append(args), threading.__excepthook__(args))
threads = [threading.Thread(target=deliver, args=(w,)) for w in range(writers)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not failed and not os.listdir("mail/tmp")
new = sorted(os.listdir("mail/new"))
assert len(new) == many, len(new)
for i, name in enumerate(new):  # seen, and one in ten removed
    os.rename("mail/new/" + name, f"mail/cur/{name}:2,S")
    if i % 10 == 0:
        os.unlink(f"mail/cur/{name}:2,S")
END
  check
}

check() {
  python3 - "$MANY" <<'END'
import mailbox, os, sys

many = int(sys.argv[1])
box = mailbox.Maildir("mail", create=False)
got = {int(m["Subject"]): m for m in box}
assert sorted(got) == [i for i in range(many) if i % 10], len(got)
for i, m in got.items():
    assert m.get_flags() == "S" and m.get_payload().count("\n") == i % 40, i
assert not os.listdir("mail/new")
END
}
