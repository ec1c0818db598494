"""Training: state, one step, its compiled loop, schedules, optimisers, checkpoints."""
