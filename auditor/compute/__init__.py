"""Where and how numbers are computed: the device, its threads, and its free memory."""
