package docs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/creack/pty"
)

// converse runs a command on a terminal, types the answers that a transcript shows at the
// prompts that it shows, and enter at those that it leaves out. typed gives what is typed
// where the transcript shows nothing, by prompt. It returns what is on the terminal then.
func converse(ctx context.Context, c *exec.Cmd, shown [][2]string, typed map[string]string) (string, error) {
	tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: 50, Cols: 400})
	if err != nil {
		return "", err
	}
	defer tty.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Kill() })
	defer stop()
	var screen strings.Builder
	answered := 0 // how much of the screen is about prompts that have their answer
	buffer := make([]byte, 4096)
	for {
		n, err := tty.Read(buffer)
		if err != nil { // EIO: nobody has the terminal any more
			break
		}
		screen.WriteString(strings.ReplaceAll(string(buffer[:n]), "\r", ""))
		text := screen.String()
		last := strings.LastIndexByte(text, '\n') + 1
		ask := text[last:]
		if p := prompt.FindString(ask); p == "" || p != ask || len(text) <= answered {
			continue
		}
		answered = len(text)
		reply := ""
		if len(shown) > 0 && strings.TrimSpace(shown[0][0]) == strings.TrimSpace(ask) {
			reply, shown = shown[0][1], shown[1:]
			if reply == "" {
				reply = typed[strings.TrimSpace(ask)]
			}
		}
		if _, err := io.WriteString(tty, reply+"\r"); err != nil {
			return screen.String(), err
		}
	}
	err = c.Wait()
	if ctx.Err() != nil {
		return screen.String(), ctx.Err()
	}
	var code *exec.ExitError
	if err != nil && !errors.As(err, &code) {
		return screen.String(), err
	}
	if len(shown) > 0 {
		return screen.String(), fmt.Errorf("it ended without the prompt %q", shown[0][0])
	}
	return screen.String(), err
}
