package rclone

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

// rcloneOption is an option as rclone config providers tells it.
type rcloneOption struct {
	Name, DefaultStr, Type string
	Sensitive              bool
}

// rcloneOptions asks a real rclone for the options of its S3 remote.
func rcloneOptions(t *testing.T) []rcloneOption {
	t.Helper()
	out, err := exec.Command(servers.Tool(t, "rclone"), "config", "providers").Output()
	must(t, err)
	var all []struct {
		Name    string
		Options []rcloneOption
	}
	must(t, json.Unmarshal(out, &all))
	for _, p := range all {
		if p.Name == "s3" {
			return p.Options
		}
	}
	t.Fatal("rclone has no S3")
	return nil
}

// Each option that rclone has is honoured, or in the table of those that are not, whose
// rows docs/CONFIG.md has; and its default is nothing to refuse or to warn of.
func TestEachOptionOfRclonesHasItsPlace(t *testing.T) {
	theirs := map[string]bool{}
	for _, o := range rcloneOptions(t) {
		theirs[o.Name] = true
		if known, _ := config.Known(o.Name); !known {
			t.Errorf("nobody thought of %s", o.Name)
			continue
		}
		get := func(key string) string {
			if key == o.Name {
				return o.DefaultStr
			}
			return ""
		}
		if err := config.Refusal(get); err != nil {
			t.Errorf("rclone's default is refused: %v", err)
		}
		if lines := config.PassedOver(get); len(lines) > 0 {
			t.Errorf("rclone's default is warned of: %q", lines)
		}
		if _, err := s3remote.FromRemote(get); err != nil {
			t.Errorf("rclone's default is wrong: %v", err)
		}
		if o.Sensitive && !config.IsSecret(o.Name) && !config.IsPrivate(o.Name) {
			t.Errorf("rclone redacts %s, s3mount does not", o.Name)
		}
	}
	for _, o := range config.S3Options() {
		if !theirs[o.Name] {
			t.Errorf("rclone has no %s", o.Name)
		}
	}
	for _, o := range config.Others() {
		if !theirs[o.Name] {
			t.Errorf("rclone has no %s", o.Name)
		}
	}
}

// What rclone config create writes is used as it is, with whatever else it has.
func TestRemotesThatRcloneMade(t *testing.T) {
	s := pool.MinIO(t)
	name, _ := mounts.NewBucket(t, s)
	for _, provider := range []string{"AWS", "Ceph", "Minio", "DigitalOcean", "Wasabi", "Dreamhost", "Other", "Cloudflare"} {
		t.Run(provider, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rclone.conf")
			rclone(t, path, nil, "config", "create", "r", "s3", "provider", provider, "env_auth", "false",
				"access_key_id", s.AccessKey, "secret_access_key", s.SecretKey, "endpoint", s.Endpoint, "region", s.Region,
				"acl", "private", "force_path_style", "true", "chunk_size", "64Mi", "upload_cutoff", "200Mi", "copy_cutoff", "4.656Gi",
				"list_chunk", "500", "no_check_bucket", "true", "description", "mine", "max_upload_parts", "10000",
				"encoding", "Slash,InvalidUtf8,Dot", "use_multipart_etag", "unset", "version_at", "off", "invented_later", "x")
			run := exec.Command(mounts.Binary(t), "--config", path, "lsd", "r:")
			run.Env = []string{"HOME=" + filepath.Dir(path)}
			var problems strings.Builder
			run.Stderr = &problems
			out, err := run.Output()
			if err != nil || !strings.Contains(string(out), name) {
				t.Errorf("lsd: %v: %s%s", err, out, problems.String())
			}
			if want := "s3mount: remote r: there is no option invented_later\n"; problems.String() != want {
				t.Errorf("it says %q, want %q", problems.String(), want)
			}
		})
	}
}
