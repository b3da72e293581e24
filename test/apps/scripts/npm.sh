# A package with 1,000 files is installed, and used.

work() {
  mkdir -p "$LOCAL/package/lib" "$LOCAL/home"
  cat >"$LOCAL/package/package.json" <<'END'
{"name": "thousand", "version": "1.0.0", "main": "index.js", "bin": {"thousand": "index.js"}}
END
  for i in $(seq 1000); do echo "module.exports = $i" >"$LOCAL/package/lib/m$i.js"; done
  cat >"$LOCAL/package/index.js" <<'END'
#!/usr/bin/env node
let sum = 0
for (let i = 1; i <= 1000; i++) sum += require(`./lib/m${i}.js`)
console.log(sum)
END
  tar -czf "$LOCAL/thousand-1.0.0.tgz" -C "$LOCAL" package
  mkdir project
  cd project
  echo '{"name": "project", "version": "1.0.0", "private": true}' >package.json
  HOME=$LOCAL/home npm install --offline --no-audit --no-fund --loglevel=error "$LOCAL/thousand-1.0.0.tgz"
  [ "$(find node_modules/thousand/lib -type f | wc -l)" = 1000 ]
  used
}

used() { [ "$(node_modules/.bin/thousand)" = 500500 ]; }

check() {
  cd project
  used
  diff -r node_modules/thousand/lib "$LOCAL/package/lib"
}
