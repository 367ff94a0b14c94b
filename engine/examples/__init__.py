"""Programs that show the engine at work, and make the models that the service ships."""
