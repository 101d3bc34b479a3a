"""Reads a folder of event files with TensorBoard's own reader and prints the scalars as JSON: {tag: [[step, value], ...]}. A value that
is not finite is null.

    read_events.py FOLDER
"""

import json
import math
import sys

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

accumulator = EventAccumulator(sys.argv[1], size_guidance={SCALARS: 0})
accumulator.Reload()
scalars = {
    tag: [[e.step, e.value if math.isfinite(e.value) else None] for e in accumulator.Scalars(tag)]
    for tag in accumulator.Tags()["scalars"]
}
json.dump(scalars, sys.stdout)
