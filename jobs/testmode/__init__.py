"""Test jobs: what test keys run, on the sandbox of this installation, free and apart from everything else."""
