"""python -m refit.train: one attempt of the step."""

from refit.core.step import main
from refit.train.step import STEP

if __name__ == "__main__":
    main(STEP)
