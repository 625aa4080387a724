"""Independent tasks, such as sweeps of trainings: where they run, and which are finished."""

from odemom.sweep.backends import BACKENDS as BACKENDS
from odemom.sweep.backends import Backend as Backend
from odemom.sweep.store import TaskStore as TaskStore
from odemom.sweep.store import task_key as task_key
