"""The networks that engines are compared on: the same layers, names and weights for all of them."""
