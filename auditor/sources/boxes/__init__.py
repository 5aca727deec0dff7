"""Boxes of an object detector's annotations as items: each is cropped from its picture and audited for its class."""
