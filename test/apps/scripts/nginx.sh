# nginx serves files of the mount, and logs into it; its log is rotated.

get() { curl --silent --fail --unix-socket "$LOCAL/nginx.sock" "http://localhost/$1"; }

work() {
  mkdir site logs
  seq 1 50000 >site/numbers
  head -c 3000000 /dev/urandom >site/random
  cat >"$LOCAL/nginx.conf" <<END
user root;
worker_processes 2;
pid $LOCAL/nginx.pid;
error_log $PWD/logs/error.log info;
events { worker_connections 64; }
http {
  access_log $PWD/logs/access.log;
  client_body_temp_path $LOCAL/body;
  proxy_temp_path $LOCAL/proxy;
  fastcgi_temp_path $LOCAL/fastcgi;
  uwsgi_temp_path $LOCAL/uwsgi;
  scgi_temp_path $LOCAL/scgi;
  sendfile on;
  server { listen unix:$LOCAL/nginx.sock; root $PWD/site; }
}
END
  nginx=$(PATH=$PATH:/usr/sbin command -v nginx)
  "$nginx" -c "$LOCAL/nginx.conf" -e "$LOCAL/start.log"
  trap '"$nginx" -c "$LOCAL/nginx.conf" -s stop 2>/dev/null' EXIT
  for i in 1 2 3 4 5; do
    get numbers | cmp - site/numbers
    get random | cmp - site/random
  done
  mv logs/access.log logs/access.log.1
  "$nginx" -c "$LOCAL/nginx.conf" -s reopen
  until [ -e logs/access.log ]; do sleep 0.1; done
  echo replaced >site/new
  mv site/new site/numbers
  until [ "$(get numbers)" = replaced ]; do sleep 0.1; done
  ! get 'not there'
  pid=$(cat "$LOCAL/nginx.pid")
  "$nginx" -c "$LOCAL/nginx.conf" -s quit
  trap - EXIT
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}

check() {
  [ "$(grep -c '"GET /[nr].* 200 ' logs/access.log.1)" = 10 ]
  grep -q '"GET /numbers HTTP/1.1" 200 9 ' logs/access.log
  [ "$(cat site/numbers)" = replaced ]
}
