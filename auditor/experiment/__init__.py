"""The proof: plant noise in the labels, train on it, and count how much of it each ranking finds."""
