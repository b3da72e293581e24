package e2e

import (
	"strings"
	"testing"

	"github.com/s3mount/s3mount/test/servers"
)

// toolScripts are what people do with files, each in an empty folder. They leave the
// same tree on the mount as on the local disk, and print the same.
var toolScripts = map[string]string{
	"tar": `mkdir -p a/b/c; seq 1 20000 > a/numbers; printf x > a/b/x; : > a/b/c/empty; ln -s ../numbers a/b/link
		chmod 751 a/b; chmod 600 a/b/x; touch -d '2001-02-03 04:05:06.789' a/b/x a/b/c
		tar cf a.tar a; mkdir out; tar xf a.tar -C out; tar czf a.tgz a; tar tzf a.tgz | sort
		mkdir out2; tar xzf a.tgz -C out2; diff -r --no-dereference a out/a && diff -r --no-dereference a out2/a
		tar df a.tar && echo same; rm a.tar a.tgz`,
	"mv": `mkdir d e; echo 1 > d/1; echo 2 > d/2; mv d/1 e/; mv d/2 e/two; mv e f; mv d f/g; echo 3 > f/g/3
		mv f/g .; mv -n g/3 f/two; mv g/3 f/two; mv -T f h; mkdir i; mv h/* i/; rmdir h g; echo new > j; mv j i/1; ls -R`,
	"find": `mkdir -p a/b/c a/d; for i in $(seq 30); do echo $i > a/b/f$i; echo $i > a/d/g$i; done
		find a -name 'f1*' -delete; find a/d -type f -newer a/b/f2 -size -1 ; find a/d -delete; find . -type f | sort
		find a -type f -exec grep -l 2 {} + | sort; rm -rf a/b`,
	"sed": `seq 1 5000 > f; cp f g; sed -i 's/1/one/' f; sed -i.bak '2,4d' g; sed -n '1,5p' f; wc -l f g g.bak; chmod 640 f; sed -i '$d' f`,
	"truncate": `seq 1 50000 > f; truncate -s 1000 f; truncate -s 3M f; truncate -s -1M f; truncate -s '<10' g; truncate -s 100 g
		echo end >> f; : > h; echo something > i; : > i; stat -c '%n %s' *`,
	"sparse": `truncate -s 6M holes; echo data | dd of=holes bs=1 seek=3000000 conv=notrunc status=none
		cp --sparse=always holes copy; cp --sparse=never holes full; cp --reflink=auto holes auto; cmp holes copy && cmp holes full && cmp holes auto && echo same`,
	"dd": `dd if=/dev/zero of=f bs=64k count=20 status=none; printf hello | dd of=f bs=1 seek=100000 conv=notrunc status=none
		dd if=f of=g bs=1000 skip=99 count=3 status=none; dd if=f of=h bs=1M iflag=direct oflag=direct status=none; cmp f h && echo same
		dd if=f of=g bs=4k seek=3 conv=notrunc,fsync status=none; fallocate -l 2000000 i; stat -c '%n %s' *`,
	"append": `for i in $(seq 100); do echo line $i >> f; done; (for i in $(seq 50); do echo a >> g; done) & (for i in $(seq 50); do echo b >> g; done); wait
		sort -o g g; tail -n 3 f; { echo 1; echo 2; } | tee h; echo 3 | tee -a h; head -c 5 f > f2`,
	"compress": `seq 1 100000 > f; cp -p f g; gzip f; gunzip -t f.gz && gunzip f.gz; cmp f g && echo same; xz -k g; xz -t g.xz && echo sound; rm g.xz
		split -b 100000 f part; cat part* | cmp - f && echo same; sort -R f | sort -n -o g; cmp f g && echo same; shred -u part*`,
	"names": `touch ' lead' 'trail ' 'new
line' -- '-dash' '*' '?' '\' '"' "'" 'ä' 'a:b' '.hidden' 'con' "$(printf 'x%.0s' $(seq 255))"; ls -Qb; mkdir 'dir with space'; mv -- '-dash' './dir with space/'; cat * | wc -c
		touch "$(printf 'x%.0s' $(seq 256))" 2>/dev/null || echo too long; mkdir -p $(printf 'd/%.0s' $(seq 100)); find d | wc -l`,
	"modes": `umask 027; echo x > f; mkdir d; install -m 4755 f g; chmod a-w f; ln -s f l; chmod 600 l; mkdir -m 1777 t; stat -c '%n %a %F' *
		printf '#!/bin/sh\necho ran "$@"\n' > s; chmod +x s; ./s with arguments; cp -p g p; cp g q; chgrp 12 q; chown 34 q; stat -c '%n %a %u %g' p q`,
	"open files": `exec 3>f; echo 1 >&3; rm f; echo 2 >&3; echo again > f; exec 3>&-; cat f; echo keep > g; exec 4<g; rm g; cat <&4; echo old > h; exec 5<h; mv f h; cat <&5; cat h
		exec 6<>i; echo text >&6; flock 6; head -c 2 i; exec 6>&-; touch -d @1000000000.5 i; stat -c %.9Y i`,
}

func TestToolsAsOnALocalDisk(t *testing.T) {
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, _ := newMount(t, s)
		local := t.TempDir()
		for name, script := range toolScripts {
			onDisk, onMount := runTool(t, local, name, script), runTool(t, m.Dir, name, script)
			same(t, name+" prints", onMount, onDisk)
		}
		want := tree(t, local, false)
		delete(want, ".")
		got := tree(t, m.Dir, false)
		delete(got, ".")
		sameTree(t, "before a remount", got, want)
		m.Remount(true)
		got = tree(t, m.Dir, false)
		delete(got, ".")
		sameTree(t, "after a remount", got, want)
	})
}

// runTool runs a script in a new folder and returns what it printed, also where it failed.
func runTool(t testing.TB, root, name, script string) string {
	t.Helper()
	dir := root + "/" + name
	sh(t, root, "mkdir", "-m", "755", name)
	out, err := try(dir, "bash", "-c", "umask 022; "+script)
	if err != nil {
		out += err.Error()
	}
	return strings.ReplaceAll(out, root, "")
}
