"""Results on disk: written whole or not at all, as strict JSON, with where they come from."""

from odemom.records.files import as_folder as as_folder
from odemom.records.files import as_path as as_path
from odemom.records.files import from_here as from_here
from odemom.records.files import json_text as json_text
from odemom.records.files import write_all_atomic as write_all_atomic
from odemom.records.files import write_bytes_atomic as write_bytes_atomic
from odemom.records.files import write_json as write_json
from odemom.records.files import write_text_atomic as write_text_atomic
from odemom.records.provenance import provenance as provenance
from odemom.records.provenance import versions as versions
from odemom.records.values import check_fields as check_fields
from odemom.records.values import from_json as from_json
from odemom.records.values import jsonable as jsonable
