"""What any program needs of its machine: files, locks, memory, progress, interrupts. Nothing here knows about labels.

Nothing here imports torch or pyDVL.
"""
