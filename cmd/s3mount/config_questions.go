package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/s3mount/s3mount/config"
)

// ask puts the question of an option until the answer is one that it can have. An empty
// answer means now, where the option is set already, else the option's default.
func (c *console) ask(o config.Option, now string, isSet bool) (string, error) {
	c.printf("\n%s\n", o.Question())
	c.list(o)
	for {
		answer, err := c.answer(o, now)
		if err != nil {
			return "", err
		}
		switch answer {
		case "":
			if isSet {
				return now, nil
			}
			return o.Default, nil
		case `""`:
			return "", nil
		case "?":
			c.explain(o)
			continue
		}
		value, problem := choose(o, answer)
		if problem != nil {
			c.printf("%s: %v.\n", o.Name, problem)
			continue
		}
		for _, slip := range config.Slips(o.Name, value) {
			c.printf("Careful: %s %s. You can still edit it at the end.\n", o.Name, slip)
		}
		return value, nil
	}
}

// answer reads one answer; what is set now stands in the prompt, but for a secret.
func (c *console) answer(o config.Option, now string) (string, error) {
	prompt := o.Name + "> "
	if now != "" && o.Secret {
		now = "as it is"
	}
	if now != "" {
		prompt = o.Name + " [" + now + "]> "
	}
	if o.Secret {
		return c.secret(prompt)
	}
	return c.line(prompt)
}

// choose makes a value of a number of the list or an own value.
func choose(o config.Option, answer string) (string, error) {
	if n, err := strconv.Atoi(answer); err == nil && len(o.Choices) > 0 {
		if n < 1 || n > len(o.Choices) {
			return "", fmt.Errorf("the numbers go from 1 to %d", len(o.Choices))
		}
		return o.Choices[n-1].Value, nil
	}
	return answer, o.Check(answer)
}

// list shows the choices with their numbers.
func (c *console) list(o config.Option) {
	if len(o.Choices) == 0 {
		return
	}
	how := "Choose a number from below, or type in your own value"
	if o.Closed || o.Type == "bool" {
		how = "Choose a number from below, or type in the value"
	}
	c.printf("%s\n", how)
	for i, choice := range o.Choices {
		c.printf("%s", choiceText(i+1, choice))
	}
}

// choiceText draws one choice: the number beside the middle of what is said about it.
func choiceText(number int, choice config.Choice) string {
	lines := strings.Split(choice.Help, "\n")
	var b strings.Builder
	for i, text := range lines {
		label, bar := "", "|"
		if i == 0 {
			bar = "/"
		}
		if i == len(lines)/2 {
			label = strconv.Itoa(number)
		}
		fmt.Fprintf(&b, "%2s %s %s\n", label, bar, text)
	}
	fmt.Fprintf(&b, "   \\ %q\n", choice.Value)
	return b.String()
}

// explain shows all that is known about an option.
func (c *console) explain(o config.Option) {
	c.printf("\n%s\n", o.Help)
	if len(o.Choices) > 0 {
		c.list(o)
	}
	if o.Default != "" {
		c.printf("Default: %s.\n", o.Default)
	}
	c.printf("In the config file it is %s, on the command line --%s, in the environment %s.\n", o.Name, s3FlagName(o.Name), s3Variable(o.Name))
	c.printf("Enter takes the default or what is set, \"\" means nothing at all.\n")
}

// item is a line of a menu.
type item struct{ letter, text string }

// menu asks for a letter. An empty answer is fallback, if that is not empty.
func (c *console) menu(fallback string, items ...item) (string, error) {
	var letters []string
	for _, i := range items {
		text := i.text
		if i.letter == fallback {
			text += " (default)"
		}
		c.printf("%s) %s\n", i.letter, text)
		letters = append(letters, i.letter)
	}
	for {
		answer, err := c.line(strings.Join(letters, "/") + "> ")
		if err != nil {
			return "", err
		}
		if answer == "" && fallback != "" {
			return fallback, nil
		}
		for _, i := range items {
			if strings.EqualFold(answer, i.letter) || strings.EqualFold(answer, strings.Fields(i.text)[0]) {
				return i.letter, nil
			}
		}
		c.printf("Type one of the letters %s.\n", strings.Join(letters, ", "))
	}
}

// yes asks a question that enter answers with no.
func (c *console) yes(question string) (bool, error) {
	c.printf("%s\n", question)
	answer, err := c.menu("n", item{"y", "Yes"}, item{"n", "No"})
	return answer == "y", err
}
