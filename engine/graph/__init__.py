"""Graphs: capture, passes, memory and plans, for inference and training steps alike. Knows no models."""
