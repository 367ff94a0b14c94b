"""The usual ways of scaling pixels, by the names that keras.applications gives them."""

MODES = ("caffe", "torch", "tf", "scale", "none")
"""caffe: BGR less ImageNet's mean; torch: from 0 to 1, less ImageNet's mean, by its deviation; tf: from -1 to 1;
scale: from 0 to 1; none: from 0 to 255."""
