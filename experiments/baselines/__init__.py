"""Other methods to stand beside, each as its authors or its field have it."""
