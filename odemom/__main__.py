"""``python -m odemom``: the command line, where no script ``odemom`` is on the path."""

from odemom.cli import main

if __name__ == "__main__":
    main()
