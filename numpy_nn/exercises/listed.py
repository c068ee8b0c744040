"""All exercises by their numbers, three to a lesson: one by hand and two for the machine, or the other way round."""

from __future__ import annotations

from numpy_nn.exercises import deep_lessons, first_lessons, last_lessons, machine_lessons
from numpy_nn.exercises.kinds import Exercise

EXERCISES: dict[str, Exercise] = {
    **first_lessons.EXERCISES,
    **last_lessons.EXERCISES,
    **deep_lessons.EXERCISES,
    **machine_lessons.EXERCISES,
}
