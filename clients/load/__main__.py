"""`python -m clients.load`."""

from clients.load.cli import main

if __name__ == "__main__":
    main(prog_name="python -m clients.load")
