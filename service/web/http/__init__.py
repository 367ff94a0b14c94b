"""HTTP/1.1 in front of a WSGI application: one connection at a time, parsed by llhttp, knowing nothing of gevent."""
