package main

import "github.com/spf13/cobra"

// fileCommands are the commands on files in buckets and local folders.
func fileCommands(g *globals) []*cobra.Command {
	return []*cobra.Command{
		newLsdCmd(g), newLsCmd(g), newLslCmd(g), newLsfCmd(g), newSizeCmd(g),
		newMkdirCmd(g), newRmdirCmd(g),
		newCopyCmd(g), newSyncCmd(g), newCheckCmd(g),
		newCatCmd(g), newDeleteCmd(g), newPurgeCmd(g), newTouchCmd(g), newRestoreCmd(g),
		newCacheCmd(g),
		newVersionCmd(g), newManCmd(g),
	}
}
