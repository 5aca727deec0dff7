"""Where and how numbers are computed: the device, its threads and the memory that it has left."""
