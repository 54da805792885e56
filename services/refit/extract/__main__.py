"""python -m refit.extract: one attempt of the step."""

from refit.core.step import main
from refit.extract.step import STEP

if __name__ == "__main__":
    main(STEP)
