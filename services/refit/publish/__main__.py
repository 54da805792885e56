"""python -m refit.publish: one attempt of the step."""

from refit.core.step import main
from refit.publish.step import STEP

if __name__ == "__main__":
    main(STEP)
