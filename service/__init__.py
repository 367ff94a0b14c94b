"""The REST service: web workers, broker, inference workers. The only room that knows HTTP and Redis."""
