"""What the sandbox bills: its own quantities, its own table of variants, its own bills."""
