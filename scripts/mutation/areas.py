"""Defines which tests check a folder: its own tests first, then those of the folders above that use it."""

from dataclasses import dataclass

ABOVE = {
    "base": ["configs", "data", "checkpoints", "trainer", "hostile", "rl", "options", "launch"],
    "configs": ["trainer", "rl", "options", "launch"],
    "data": ["trainer", "hostile", "rl", "options", "launch"],
    "checkpoints": ["trainer", "rl", "options", "launch"],
    "trainer": ["hostile", "rl", "options", "launch"],
    "rl": ["options", "launch"],
    "launch": [],
}


@dataclass(frozen=True)
class Area:
    targets: tuple  # what ninja builds
    commands: str = "$^"  # a regular expression for the ctest entries that belong to it besides the GoogleTest program


AREAS = {
    "base": Area(("base_tests",)),
    "configs": Area(("configs_tests",)),
    "data": Area(("data_tests",)),
    "checkpoints": Area(("checkpoints_tests",)),
    "trainer": Area(
        ("trainer_tests", "parallel_conformance"), r"^trainer/parallel_conformance/mpi_cpu_2$"
    ),
    "hostile": Area(("hostile_tests",)),
    "rl": Area(("rl_tests", "weight_sync_ranks"), r"^rl/weight_sync/(1_of_2|2_of_3)$"),
    "options": Area(("options_tests",)),
    "launch": Area(
        ("launch_tests", "terse", "same_weights", "faulty_terse", "memory_of_update_ranks"),
        r"^launch/((ranks|split)_test|plan/memory_of_update_ranks/2)$",
    ),
}


def levels(folder, most=None):
    """Returns the areas whose tests a mutant of `folder` has to pass, in order; only the first `most` of them if it is given."""
    return [folder, *ABOVE[folder]][:most]


def program(area):
    return f"{area}_tests"
