"""python -m refit.extract: one attempt of the step."""

import pyarrow as pa

from refit.core.step import main
from refit.extract.step import STEP

if __name__ == "__main__":
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's default keeps some 30 MiB more of what was freed
    main(STEP)
