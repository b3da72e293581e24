package servers

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// attempts is how often a server is started whose port somebody else was faster to take.
const attempts = 3

// The keys of the servers that take any. They guard nothing: the servers listen on
// loopback, and live as long as a test.
const (
	testAccessKey = "TESTACCESSKEY0000001"
	testSecretKey = "test/Secret+Key/0000000000000000000001"
)

// start runs a program that keeps its data in a folder and listens on a port.
func start(tooled string, command func(path, dir string, port int) (args, env []string)) (Server, error) {
	path, err := tool(tooled)
	if err != nil {
		return Server{}, err
	}
	var errs []error
	for range attempts {
		port, err := freePort(1)
		if err != nil {
			return Server{}, err
		}
		dir, err := os.MkdirTemp("", "s3mount-"+tooled+"-")
		if err != nil {
			return Server{}, err
		}
		args, env := command(path, dir, port)
		p, err := supervise(dir, env, args...)
		if err != nil {
			return Server{}, errors.Join(err, os.RemoveAll(dir))
		}
		endpoint := fmt.Sprintf("http://127.0.0.1:%d", port)
		if err := p.answers(endpoint + "/"); err != nil {
			errs = append(errs, err)
			continue
		}
		return Server{
			Endpoint: endpoint, AccessKey: testAccessKey, SecretKey: testSecretKey,
			Region: "us-east-1", Provider: "Other", Stop: p.stop,
		}, nil
	}
	return Server{}, errors.Join(errs...)
}

// StartMinIO starts a MinIO server with its data in a temporary folder. The caller
// stops it.
func StartMinIO() (Server, error) {
	server, err := start("minio", func(path, dir string, port int) (args, env []string) {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		args = []string{path, "server", filepath.Join(dir, "data"), "--address", address, "--quiet"}
		env = []string{
			"MINIO_ROOT_USER=" + testAccessKey, "MINIO_ROOT_PASSWORD=" + testSecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME=" + dir, // it writes to its user's home
		}
		return args, env
	})
	server.Provider = "Minio"
	return server, err
}

// StartVersityGW starts versitygw on its posix backend with its data in a temporary
// folder, which must be on a file system with extended attributes. The caller stops it.
func StartVersityGW() (Server, error) {
	return start("versitygw", func(path, dir string, port int) (args, env []string) {
		args = []string{
			path, "--access", testAccessKey, "--secret", testSecretKey, "--quiet",
			"--port", fmt.Sprintf("127.0.0.1:%d", port), "posix", dir,
		}
		return args, nil
	})
}

//go:embed ceph-up.sh
var cephScript string

// StartCeph starts a Ceph object gateway with its data in memory. The caller stops it.
func StartCeph() (Server, error) {
	for _, program := range []string{"ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "curl", "uuidgen"} {
		if _, err := exec.LookPath(program); err != nil {
			return Server{}, fmt.Errorf("%w: run \"test/install-deps.sh\" as root", err)
		}
	}
	port, err := freePort(40) // that many are for ceph-up.sh
	if err != nil {
		return Server{}, err
	}
	dir, err := os.MkdirTemp("", "s3mount-ceph-")
	if err != nil {
		return Server{}, err
	}
	command := []string{"bash", "-c", cephScript, "ceph-up.sh", "run", dir, fmt.Sprint(port)}
	settings := newSettings("CEPH_CONF_FILE") // the last one that the script prints
	p, err := launch(command, nil, settings)
	if err != nil {
		return Server{}, errors.Join(err, os.RemoveAll(dir))
	}
	select {
	case <-settings.complete:
	case <-p.done:
		return Server{}, fmt.Errorf("ceph-up.sh ended while starting:\n%s", p.log)
	case <-time.After(startTimeout):
		return Server{}, errors.Join(fmt.Errorf("ceph-up.sh does not finish:\n%s", p.log), p.stop())
	}
	return Server{
		Endpoint: settings.get("CEPH_ENDPOINT"), Region: settings.get("CEPH_REGION"),
		AccessKey: settings.get("CEPH_ACCESS_KEY"), SecretKey: settings.get("CEPH_SECRET_KEY"),
		OtherAccessKey: settings.get("CEPH_ACCESS_KEY2"), OtherSecretKey: settings.get("CEPH_SECRET_KEY2"),
		Provider: "Ceph", Stop: p.stop,
	}, nil
}
