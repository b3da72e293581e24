package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/internal/secret"
)

// storageName is what the one type of storage is called.
const storageName = "Amazon S3, and stores that speak its protocol: Ceph, MinIO, DreamHost, DigitalOcean, Wasabi and others"

// dialogue is s3mount config at work. Each change is saved as soon as it is agreed to.
type dialogue struct {
	*console
	file *config.File
}

// errQuit ends the dialogue as the user wants it.
var errQuit = errors.New("quit")

// configDialogue runs s3mount config.
func (g *globals) configDialogue(ctx context.Context) error {
	ctx, done := g.untilSignal(ctx)
	defer done()
	file, err := g.changeable(ctx)
	if err != nil {
		return err
	}
	c, err := g.openConsole(ctx, g.stdout)
	if err != nil {
		return err
	}
	defer c.Close()
	d := &dialogue{c, file}
	for err == nil {
		err = d.mainMenu()
	}
	switch {
	case errors.Is(err, errQuit):
		return nil
	case errors.Is(err, io.EOF):
		return errors.New("the questions were not answered to the end: what was not agreed to is not saved")
	case interrupted(ctx) != nil:
		c.printf("\n")
		return fmt.Errorf("%w: what was not agreed to is not saved", interrupted(ctx))
	}
	return err
}

// mainMenu shows what can be done, and does one thing.
func (d *dialogue) mainMenu() error {
	actions := map[string]func() error{
		"n": d.create, "e": d.edit, "d": d.remove, "r": d.rename, "c": d.copy, "s": d.password,
		"q": func() error { return errQuit },
	}
	last := []item{{"s", "Set configuration password"}, {"q", "Quit config"}}
	items := append([]item{{"n", "New remote"}}, last...)
	if names := d.file.Names(); len(names) == 0 {
		d.printf("No remotes found - make a new one\n")
	} else {
		d.table(names)
		items = append([]item{{"e", "Edit existing remote"}, {"n", "New remote"}, {"d", "Delete remote"}, {"r", "Rename remote"}, {"c", "Copy remote"}}, last...)
	}
	answer, err := d.menu("", items...)
	if errors.Is(err, io.EOF) {
		return errQuit // here nothing is under way
	}
	if err != nil {
		return err
	}
	return actions[answer]()
}

// table shows the remotes.
func (d *dialogue) table(names []string) {
	d.printf("Current remotes:\n\n%-20s Type\n%-20s ====\n", "Name", "====")
	for _, name := range names {
		d.printf("%-20s %s\n", name, kindOf(d.file, name))
	}
	d.printf("\n")
}

// kindOf is the type of a remote of the file.
func kindOf(f *config.File, name string) string {
	for _, p := range f.Pairs(name) {
		if p.Key == "type" {
			return p.Value.Reveal()
		}
	}
	return ""
}

// save writes the file, and says so.
func (d *dialogue) save(done string) error {
	if err := d.file.Save(); err != nil {
		return saved(err)
	}
	d.printf("%s Saved in %s\n\n", done, d.file.Path())
	return nil
}

// newName asks for a name that is free.
func (d *dialogue) newName() (string, error) {
	for {
		name, err := d.line("name> ")
		if err != nil {
			return "", err
		}
		name = bareName(name)
		switch {
		case name == "" || name == "?":
			d.printf("A name of your own for the remote: letters, digits, _ - . + @ and blanks.\n")
		case config.CheckName(name) != nil:
			d.printf("A name is of letters, digits, _ - . + @ and blanks, and does not start with - .\n")
		case d.file.Has(name):
			d.printf("There is a remote of this name.\n")
		default:
			return name, nil
		}
	}
}

// pick asks for one of the remotes; ok is false if there is no such.
func (d *dialogue) pick() (name string, err error) {
	names := d.file.Names()
	d.printf("Choose a number from below, or type in the name.\n")
	for i, name := range names {
		d.printf("%2d > %s\n", i+1, name)
	}
	for {
		answer, err := d.line("remote> ")
		if err != nil {
			return "", err
		}
		answer = bareName(answer)
		if d.file.Has(answer) && answer != "" {
			return answer, nil
		}
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(names) {
			return names[n-1], nil
		}
		d.printf("There is no such remote.\n")
	}
}

// create makes a new remote.
func (d *dialogue) create() error {
	name, err := d.newName()
	if err != nil {
		return err
	}
	if err := d.storage(); err != nil {
		return err
	}
	d.printf("Enter takes the default, ? explains the question.\n")
	draft := newDraft(name)
	if err := d.askAll(draft, false); err != nil {
		return err
	}
	return d.review(draft)
}

// storage asks for the type of storage. There is one: its number is whatever the
// documentation says that the user follows, since that differs between versions.
func (d *dialogue) storage() error {
	d.printf("Type of storage to configure.\nChoose a number from below, or type in its name\n%s", choiceText(1, config.Choice{Value: "s3", Help: storageName}))
	for {
		answer, err := d.line("Storage> ")
		if err != nil {
			return err
		}
		n, numErr := strconv.Atoi(answer)
		switch {
		case answer == "" || answer == "s3" || answer == "1":
			return nil
		case numErr == nil && n > 0:
			d.printf("s3mount has one type of storage, so %d means s3 as well.\n", n)
			return nil
		case answer == "?":
			d.printf("s3mount knows the type s3 only. In the documentation of rclone it has other numbers; they are taken too.\n")
		default:
			d.printf("s3mount knows the type s3 only.\n")
		}
	}
}

// askAll asks for the options, the usual or the advanced ones. A new remote has all the
// usual ones written, as the documentation shows it; of the others those that say
// something.
func (d *dialogue) askAll(draft *draft, advanced bool) error {
	for _, o := range config.S3Options() {
		// A provider that is set is a usual question: who set it knows of it.
		usual := !o.Advanced || o.Name == "provider" && draft.isSet(o.Name)
		if usual == advanced {
			continue
		}
		value, err := d.ask(o, draft.values[o.Name], draft.isSet(o.Name))
		if err != nil {
			return err
		}
		if draft.isSet(o.Name) || value != "" && value != o.Default || !draft.exists && !advanced {
			draft.set(o.Name, value)
		}
	}
	return nil
}

// review shows a remote, and saves it on a yes.
func (d *dialogue) review(draft *draft) error {
	for {
		d.show(draft)
		answer, err := d.menu("y", item{"y", "Yes this is OK"}, item{"e", "Edit this remote"}, item{"d", "Delete this remote"}, item{"a", "Advanced options"})
		if err != nil {
			return err
		}
		switch answer {
		case "y":
			if err := draft.apply(d.file); err != nil {
				return err
			}
			return d.save(fmt.Sprintf("Remote %s is set up.", draft.name))
		case "e", "a":
			if err := d.askAll(draft, answer == "a"); err != nil {
				return err
			}
		case "d":
			if !draft.exists {
				d.printf("Dropped.\n\n")
				return nil
			}
			return d.delete(draft.name)
		}
	}
}

// show shows a remote as it would be written, without secrets.
func (d *dialogue) show(draft *draft) {
	const rule = "--------------------"
	d.printf("\nRemote config\n%s\n[%s]\n", rule, draft.name)
	for _, key := range draft.keys {
		value := draft.values[key]
		switch {
		case value == "":
			d.printf("%s =\n", key)
		case config.IsSecret(key):
			d.printf("%s = ***\n", key)
		default:
			d.printf("%s = %s\n", key, value)
		}
	}
	d.printf("%s\n", rule)
	trial, fresh := config.New(""), *draft
	fresh.exists = false
	if fresh.apply(trial) == nil {
		writeNotes(d, "Careful: ", trial, draft.name)
	}
}

// edit asks all questions of a remote again.
func (d *dialogue) edit() error {
	name, err := d.pick()
	if err != nil {
		return err
	}
	if err := isS3(d.file, name); err != nil {
		d.printf("%v\n\n", err)
		return nil
	}
	draft := draftOf(d.file, name)
	d.printf("Enter keeps what is set, \"\" removes it, ? explains the question.\n")
	if err := d.askAll(draft, false); err != nil {
		return err
	}
	return d.review(draft)
}

// remove deletes a remote, when asked twice.
func (d *dialogue) remove() error {
	name, err := d.pick()
	if err != nil {
		return err
	}
	sure, err := d.yes(fmt.Sprintf("Remove %s, with the keys that are in it, from the config file? What is in the store stays.", name))
	if err != nil || !sure {
		return err
	}
	return d.delete(name)
}

func (d *dialogue) delete(name string) error {
	if err := d.file.Delete(name); err != nil {
		return err
	}
	return d.save(fmt.Sprintf("Remote %s is removed.", name))
}

// rename and copy ask which remote, and for the new name.
func (d *dialogue) rename() error {
	return d.toNewName("Remote %s is called %s now.", d.file.Rename)
}

func (d *dialogue) copy() error {
	return d.toNewName("Remote %s is copied to %s.", d.file.Copy)
}

func (d *dialogue) toNewName(done string, change func(from, to string) error) error {
	from, err := d.pick()
	if err != nil {
		return err
	}
	to, err := d.newName()
	if err != nil {
		return err
	}
	if err := change(from, to); err != nil {
		return err
	}
	return d.save(fmt.Sprintf(done, from, to))
}

// password sets, changes or removes the password of the file.
func (d *dialogue) password() error {
	items := []item{{"a", "Add Password"}}
	if d.file.Encrypted() {
		d.printf("The configuration is encrypted.\n")
		items = []item{{"c", "Change Password"}, {"u", "Unencrypt configuration"}}
	} else {
		d.printf("The configuration is not encrypted. A password protects the keys in it.\n")
	}
	answer, err := d.menu("", append(items, item{"q", "Quit to main menu"})...)
	if err != nil || answer == "q" {
		return err
	}
	if answer == "u" {
		d.file.SetPassword(secret.String{})
		return d.save("The configuration is in plain now.")
	}
	p := config.Passwords{
		Prompt: func(_ context.Context, question string) (secret.String, error) {
			text, err := d.secret(question)
			return secret.New(text), err
		},
		Tell: func(line string) { d.printf("%s\n", line) },
	}
	password, err := p.New(context.Background())
	if err != nil {
		if errors.Is(err, io.EOF) || d.in.ctx.Err() != nil {
			return err
		}
		d.printf("The password stays as it was: %v.\n\n", err)
		return nil
	}
	if err := d.file.SetPassword(password); err != nil {
		return err
	}
	return d.save("The configuration is encrypted.")
}
