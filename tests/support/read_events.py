"""Prints the scalars of a folder of event files as JSON, read by TensorBoard's own reader: {tag: [[step, value], ...]}, null for
values that are not finite.

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
