"""Stands where an errand's child stands: says how far it is, and then does nothing until it is ended."""

import sys
import time
from pathlib import Path

from webapp.contract.events import PhaseMoved, append_event
from webapp.contract.job_dir import EVENTS

if __name__ == "__main__":
    half = PhaseMoved(phase="preparing", sentence="Half.", done=1, total=2, unit="bytes")
    append_event(Path(sys.argv[1]) / EVENTS, half)
    time.sleep(600)
