"""The command line: one file per command, `options` for what several of them have."""
