"""Clients of the service; they need nothing of the other folders."""
