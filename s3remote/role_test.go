package s3remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

const testRole = "arn:aws:iam::123456789012:role/reader"

// tokenService is a stand-in for AWS STS.
type tokenService struct {
	mu    sync.Mutex
	asked []map[string]string // the forms of the calls, with the key that they were signed with
	lasts time.Duration
	deny  bool
}

func (s *tokenService) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = r.ParseForm()
	form := map[string]string{}
	for name := range r.PostForm {
		form[name] = r.PostForm.Get(name)
	}
	_, form["key"], _ = strings.Cut(r.Header.Get("Authorization"), "Credential=")
	s.asked = append(s.asked, form)
	if s.deny {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error><RequestId>r1</RequestId></ErrorResponse>`)
		return
	}
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ROLE%d</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>tok</SessionToken><Expiration>%s</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`, len(s.asked), time.Now().Add(s.lasts).UTC().Format(time.RFC3339))
}

func (s *tokenService) last() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[len(s.asked)-1]
}

// withRole reads an object with a role, and returns the key that S3 was asked with. The
// store and STS are one server, as with MinIO.
func (s *tokenService) withRole(t *testing.T, change func(*Config)) (id, token string) {
	t.Helper()
	fake, b := serve(t, func(c *Config) {
		c.RoleARN = testRole
		change(c)
	}, func(w http.ResponseWriter, r *request) {
		if r.Method == http.MethodPost {
			s.answer(w, r)
			return
		}
		serveObject(w, r, "x", "e")
	})
	_, err := b.Head(t.Context(), "k")
	ok(t, err)
	h := fake.request(fake.count()).Header
	_, id, _ = strings.Cut(h.Get("Authorization"), "Credential=")
	id, _, _ = strings.Cut(id, "/")
	return id, h.Get("X-Amz-Security-Token")
}

// answer is serve for a request whose body was read.
func (s *tokenService) answer(w http.ResponseWriter, r *request) {
	r.Body = io.NopCloser(bytes.NewReader(r.body))
	s.serve(w, r.Request)
}

// The keys of the configuration take on the role, and its keys sign what S3 is asked.
func TestRoleIsTakenOn(t *testing.T) {
	bare(t)
	s := &tokenService{lasts: time.Hour}
	use := func(c *Config) { c.AccessKeyID, c.STSEndpoint = "MINE", "http://sts.test" }
	if id, token := s.withRole(t, use); id != "ROLE1" || token != "tok" {
		t.Errorf("S3 was asked with %s, %s", id, token)
	}
	got := s.last()
	if got["Action"] != "AssumeRole" || got["RoleArn"] != testRole || got["RoleSessionName"] != "s3mount" ||
		!strings.HasPrefix(got["key"], "MINE/") || !strings.Contains(got["key"], "/us-east-1/sts/") || got["ExternalId"] != "" {
		t.Errorf("STS was asked for %v", got)
	}
	s.withRole(t, func(c *Config) {
		use(c)
		c.RoleSessionName, c.RoleExternalID, c.RoleSessionDuration, c.Region = "me", "ext", time.Hour, "eu-west-1"
	})
	got = s.last()
	if got["RoleSessionName"] != "me" || got["ExternalId"] != "ext" || got["DurationSeconds"] != "3600" || !strings.Contains(got["key"], "/eu-west-1/sts/") {
		t.Errorf("STS was asked for %v", got)
	}
}

// With env_auth, the keys of the environment take it on, at the endpoint that it names.
func TestRoleIsTakenOnWithKeysOfTheEnvironment(t *testing.T) {
	bare(t)
	s := &tokenService{lasts: time.Hour}
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://sts.test")
	t.Setenv("AWS_ACCESS_KEY_ID", "FROMENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	id, _ := s.withRole(t, func(c *Config) { c.EnvAuth, c.AccessKeyID, c.SecretAccessKey = true, "", secret.String{} })
	if got := s.last()["key"]; id != "ROLE1" || !strings.HasPrefix(got, "FROMENV/") {
		t.Errorf("S3 was asked with %s, STS with %s", id, got)
	}
}

func TestRoleThatMayNotBeTakenOn(t *testing.T) {
	bare(t)
	s := &tokenService{deny: true}
	c := Config{AccessKeyID: "MINE", SecretAccessKey: secret.New("s3cret"), RoleARN: testRole, STSEndpoint: localService(t, s.serve)}
	_, err := New(t.Context(), c)
	wantKind(t, err, object.KindCredentials)
	if text := err.Error(); !strings.Contains(text, "AccessDenied") || strings.Contains(text, "s3cret") {
		t.Errorf("the error is %s", text)
	}
	// Without any keys there is nobody to take it on; the keyless remote must not do.
	c = Config{EnvAuth: true, RoleARN: testRole, STSEndpoint: c.STSEndpoint}
	_, err = New(t.Context(), c)
	wantKind(t, err, object.KindCredentials)
}

// The keys of a role are fetched anew before they end.
func TestKeysOfARoleAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenService{lasts: 15 * time.Minute}
		fake, _ := serve(t, nil, func(w http.ResponseWriter, r *request) {
			s.answer(w, r)
		})
		c := Config{RoleARN: testRole, STSEndpoint: "http://sts.test", Dial: fake.dial}
		creds, err := assumeRole(t.Context(), c, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "MINE", SecretAccessKey: "y"}, nil
		}))
		ok(t, err)
		for _, step := range []struct {
			wait time.Duration
			want string
		}{{0, "ROLE1"}, {13 * time.Minute, "ROLE1"}, {90 * time.Second, "ROLE2"}, {13 * time.Minute, "ROLE2"}} {
			time.Sleep(step.wait)
			got, err := creds.Retrieve(t.Context())
			ok(t, err)
			if got.AccessKeyID != step.want {
				t.Errorf("after another %v: %s, want %s", step.wait, got.AccessKeyID, step.want)
			}
		}
	})
}
