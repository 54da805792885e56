"""python -m refit.evaluate: one attempt of the step."""

from refit.core.step import main
from refit.evaluate.step import STEP

if __name__ == "__main__":
    main(STEP)
