"""Image ops (`keras.ops.image`): sizes, geometry, colour, blur."""

from engine.ops.image.blurring import gaussian_blur
from engine.ops.image.color import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from engine.ops.image.resizing import resize
from engine.ops.image.transforming import affine_transform

__all__ = ["affine_transform", "gaussian_blur", "hsv_to_rgb", "resize", "rgb_to_grayscale", "rgb_to_hsv"]
