package s3remote

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// bare takes all that could give credentials out of the environment, and has the shared
// files in a folder of the test's own. The machine is not asked for a role.
func bare(t *testing.T) (home string) {
	t.Helper()
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, ".aws/config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, ".aws/credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return home
}

func file(t *testing.T, path, text string) {
	t.Helper()
	ok(t, os.MkdirAll(filepath.Dir(path), 0o700))
	ok(t, os.WriteFile(path, []byte(text), 0o600))
}

// localService is a service on this machine that gives credentials.
func localService(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	web := httptest.NewServer(handle)
	t.Cleanup(web.Close)
	return web.URL
}

// key returns which access key a request is signed with, and the session token.
func key(t *testing.T, change func(*Config)) (id, token string) {
	t.Helper()
	s, b := serve(t, func(c *Config) {
		c.EnvAuth, c.AccessKeyID, c.SecretAccessKey = true, "", secret.String{}
		if change != nil {
			change(c)
		}
	}, func(w http.ResponseWriter, r *request) { serveObject(w, r, "x", "e") })
	_, err := b.Head(t.Context(), "k")
	ok(t, err)
	h := s.request(1).Header
	_, id, _ = strings.Cut(h.Get("Authorization"), "Credential=")
	id, _, _ = strings.Cut(id, "/")
	return id, h.Get("X-Amz-Security-Token")
}

func wantKey(t *testing.T, change func(*Config), id, token string) {
	t.Helper()
	if gotID, gotToken := key(t, change); gotID != id || gotToken != token {
		t.Errorf("the key %q with the token %q, want %q and %q", gotID, gotToken, id, token)
	}
}

// credentialsJSON is how a container's service and a program answer.
func credentialsJSON(id string) string {
	return fmt.Sprintf(`{"Version":1,"AccessKeyId":%q,"SecretAccessKey":"s","Token":"tok-%[2]s","SessionToken":"tok-%[2]s","Expiration":%q}`,
		id, id, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

func TestConfiguredKeysComeFirst(t *testing.T) {
	bare(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "FROMENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	wantKey(t, func(c *Config) {
		c.AccessKeyID, c.SecretAccessKey, c.SessionToken = "FROMCONF", secret.New("y"), secret.New("tok")
	}, "FROMCONF", "tok")
	wantKey(t, func(c *Config) { c.EnvAuth = false }, "", "") // anonymous
}

func TestKeysOfTheEnvironment(t *testing.T) {
	for _, names := range [][2]string{
		{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, {"AWS_ACCESS_KEY", "AWS_SECRET_KEY"},
		{"AWS_ACCESS_KEY_ID", "AWS_SECRET_KEY"},
	} {
		bare(t)
		t.Setenv("AWS_ENDPOINT_URL", "http://nowhere.test") // of AWS, not of this store
		t.Setenv(names[0], "FROMENV")
		t.Setenv(names[1], "x")
		wantKey(t, nil, "FROMENV", "")
		t.Setenv("AWS_SESSION_TOKEN", "tok")
		wantKey(t, nil, "FROMENV", "tok")
		os.Unsetenv(names[0])
		os.Unsetenv(names[1])
	}
}

func TestSharedProfiles(t *testing.T) {
	home := bare(t)
	file(t, filepath.Join(home, ".aws/credentials"), "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = s\n"+
		"[other]\naws_access_key_id = OTHER\naws_secret_access_key = s\naws_session_token = tok\n")
	elsewhere := filepath.Join(home, "elsewhere")
	file(t, elsewhere, "[default]\naws_access_key_id = ELSEWHERE\naws_secret_access_key = s\n")
	wantKey(t, nil, "DEFAULT", "")
	wantKey(t, func(c *Config) { c.Profile = "other" }, "OTHER", "tok")
	wantKey(t, func(c *Config) { c.SharedCredentialsFile = elsewhere }, "ELSEWHERE", "")
	_, err := New(t.Context(), Config{EnvAuth: true, Profile: "none"})
	wantKind(t, err, object.KindCredentials)
	t.Setenv("AWS_PROFILE", "other")
	wantKey(t, nil, "OTHER", "tok")
	t.Setenv("AWS_ACCESS_KEY_ID", "FROMENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	wantKey(t, nil, "FROMENV", "") // before a profile, unless the remote names one
	wantKey(t, func(c *Config) { c.Profile = "other" }, "OTHER", "tok")
}

func TestCredentialProcess(t *testing.T) {
	home := bare(t)
	file(t, filepath.Join(home, "keys.json"), credentialsJSON("PROGRAM"))
	file(t, filepath.Join(home, ".aws/config"), "[default]\ncredential_process = cat "+filepath.Join(home, "keys.json")+"\n")
	wantKey(t, nil, "PROGRAM", "tok-PROGRAM")
	file(t, filepath.Join(home, ".aws/config"), "[default]\ncredential_process = false\n")
	_, err := New(t.Context(), Config{EnvAuth: true})
	wantKind(t, err, object.KindCredentials) // a source that fails is not "none"
}

// What the program printed may be half of a key.
func TestOutputOfACredentialProcessIsNotShown(t *testing.T) {
	home := bare(t)
	for _, output := range []string{`{"SecretAccessKey":"s3cret"`, `s3cret`, `{"Version":1,"SecretAccessKey":["s3cret"]}`} {
		file(t, filepath.Join(home, "out"), output)
		file(t, filepath.Join(home, ".aws/config"), "[default]\ncredential_process = cat "+filepath.Join(home, "out")+"\n")
		_, err := New(t.Context(), Config{EnvAuth: true})
		wantKind(t, err, object.KindCredentials)
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error shows the output: %v", err)
		}
	}
}

// A shared file that is damaged is an error that shows nothing of it.
func TestDamagedSharedFileIsNotShown(t *testing.T) {
	home := bare(t)
	for _, text := range []string{
		"[default\naws_secret_access_key = s3cret\n", "[default]\naws_secret_access_key s3cret\n", "s3cret\n",
		"[default]\naws_access_key_id = A\naws_secret_access_key =\n  s3cret\n",
	} {
		file(t, filepath.Join(home, ".aws/credentials"), text)
		var lines logged
		c, err := New(t.Context(), Config{EnvAuth: true, Log: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		if err == nil {
			c.Close()
		}
		if got := fmt.Sprint(err) + lines.text.String(); strings.Contains(got, "s3cret") {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestContainerCredentials(t *testing.T) {
	bare(t)
	url := localService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "secret" {
			w.WriteHeader(403)
			return
		}
		_, _ = io.WriteString(w, credentialsJSON("ECS"))
	})
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url+"/creds")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret")
	wantKey(t, nil, "ECS", "tok-ECS")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong")
	_, err := New(t.Context(), Config{EnvAuth: true})
	wantKind(t, err, object.KindCredentials)
}

func TestWebIdentity(t *testing.T) {
	home := bare(t)
	file(t, filepath.Join(home, "token"), "web-token")
	url := localService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "web-token" || r.FormValue("RoleArn") != "arn:aws:iam::1:role/x" {
			w.WriteHeader(400)
			return
		}
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>WEB</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>tok</SessionToken><Expiration>%s</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(home, "token"))
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")
	t.Setenv("AWS_ENDPOINT_URL_STS", url)
	wantKey(t, nil, "WEB", "tok")
}

func TestSingleSignOn(t *testing.T) {
	home := bare(t)
	url := localService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/federation/credentials" || r.Header.Get("X-Amz-Sso_bearer_token") != "sso-token" {
			w.WriteHeader(401)
			return
		}
		fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"SSO","secretAccessKey":"s","sessionToken":"tok","expiration":%d}}`, time.Now().Add(time.Hour).UnixMilli())
	})
	file(t, filepath.Join(home, ".aws/config"), "[default]\nsso_session = me\nsso_account_id = 1\nsso_role_name = r\n"+
		"[sso-session me]\nsso_start_url = https://sso.test/start\nsso_region = us-east-1\n")
	cached, err := json.Marshal(map[string]string{"accessToken": "sso-token", "expiresAt": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	ok(t, err)
	sum := sha1.Sum([]byte("me"))
	file(t, filepath.Join(home, ".aws/sso/cache", hex.EncodeToString(sum[:])+".json"), string(cached))
	t.Setenv("AWS_ENDPOINT_URL_SSO", url)
	wantKey(t, nil, "SSO", "tok")
}

// instance answers as an EC2 instance with a role does, to version 2 of its protocol.
func instance(t *testing.T, role string) string {
	return localService(t, func(w http.ResponseWriter, r *http.Request) {
		const path = "/latest/meta-data/iam/security-credentials/"
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
			_, _ = io.WriteString(w, "imds-token")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "imds-token":
			w.WriteHeader(401)
		case role == "":
			w.WriteHeader(404)
		case r.URL.Path == path:
			_, _ = io.WriteString(w, role)
		case r.URL.Path == path+role:
			fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"ROLE","SecretAccessKey":"s","Token":"tok","Expiration":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		default:
			w.WriteHeader(404)
		}
	})
}

func TestRoleOfTheInstance(t *testing.T) {
	bare(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance(t, "my-role"))
	wantKey(t, nil, "ROLE", "tok")
}

// logged collects the lines of a log.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// With no source at all, requests are not signed, and one line says so. A machine that
// is no instance must not cost more than a moment.
func TestNoCredentialsAnywhere(t *testing.T) {
	silent := localService(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, endpoint := range map[string]string{
		"nobody listens": "http://127.0.0.1:1", "nobody answers": silent, "no role": instance(t, ""), "disabled": "",
	} {
		t.Run(name, func(t *testing.T) {
			bare(t)
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
			if endpoint != "" {
				t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			}
			var lines logged
			start := time.Now()
			wantKey(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&lines, nil)) }, "", "")
			if d := time.Since(start); d > roleTimeout+time.Second {
				t.Errorf("it took %v", d)
			}
			if got := lines.text.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "not signed") {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestCallerThatGivesUpIsNotAnonymous(t *testing.T) {
	bare(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := New(ctx, Config{EnvAuth: true})
	wantKind(t, err, object.KindCredentials)
}

// flaky is a source of keys that fails a number of times.
type flaky struct {
	fails int
	err   error
}

func (f *flaky) Retrieve(context.Context) (aws.Credentials, error) {
	if f.fails--; f.fails >= 0 {
		return aws.Credentials{}, f.err
	}
	return aws.Credentials{AccessKeyID: "FRESH", SecretAccessKey: "s"}, nil
}

// Temporary keys run out while a mount is at work. A source that cannot be reached for a
// moment then must not fail an upload; one that says no fails it at once.
func TestSourceOutOfReachIsAskedAgain(t *testing.T) {
	status := func(code int) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: errors.New("refused")}
	}
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			err   error
			works bool
		}{
			{&net.OpError{Op: "dial", Err: errors.New("no route")}, true}, {io.ErrUnexpectedEOF, true}, {status(503), true}, {status(429), true},
			{status(403), false}, {status(400), false}, {errors.New("the sign-on has expired"), false},
		} {
			s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { put(w, "e") })
			b.client.keys = namedCredentials{&flaky{fails: 5, err: c.err}}
			_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
			if c.works && (err != nil || s.count() != 1) {
				t.Errorf("%v: %v", c.err, err)
			}
			if !c.works {
				wantKind(t, err, object.KindCredentials)
			}
		}
	})
}
