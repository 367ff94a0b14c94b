"""Workers with models that cost nothing, so that the service around them is what is measured."""
