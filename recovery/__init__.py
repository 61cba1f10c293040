"""Ways out that Pulumi has no command for, for days on which something is gone that the state still counts on."""
