"""Many runs at once: what they are, and where they run."""
