"""The command line: Typer commands, Rich progress and tables; no logic."""
