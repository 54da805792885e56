"""python -m refit.cli: the command line where the console script is not installed."""

from refit.cli.main import main

if __name__ == "__main__":
    main()
