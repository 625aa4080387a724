"""Lists of independent tasks: where they run, and the store of those that are finished."""

from odemom.sweep.backends import BACKENDS as BACKENDS
from odemom.sweep.backends import Backend as Backend
from odemom.sweep.store import TaskStore as TaskStore
from odemom.sweep.store import task_key as task_key
