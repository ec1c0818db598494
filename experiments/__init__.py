"""Results and how they were obtained: one file a paper, application or benchmark."""
