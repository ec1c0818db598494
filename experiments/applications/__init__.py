"""Applications measured beside other methods: one file each."""
