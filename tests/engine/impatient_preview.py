"""The rendering child with less time than in earnest, so that no test waits half a minute."""

import resource
import sys

from worker.engine import preview

if __name__ == "__main__":
    preview.LIMITS[resource.RLIMIT_CPU] = 4
    sys.exit(preview.main())
