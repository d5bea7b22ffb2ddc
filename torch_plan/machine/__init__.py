"""What this machine has: its files and programs, its GPUs, and the build that they can run."""
