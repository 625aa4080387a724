"""Matrices in files: arrays of NumPy, MATLAB and PyTorch, Matrix Market, JSON, and text.

Numbers in text keep their exactness: ints and rationals such as ``-3/4`` are exact. A text matrix
in which decimals occur is floating input, unless a rational occurs too or exactness is asked for;
then each decimal is the rational that it spells. Each format is a reader in a file of its own; the
suffix, or else the content, tells which.
"""

from odemom.matrix_files.read import MatrixFileNote as MatrixFileNote
from odemom.matrix_files.read import parse_matrix as parse_matrix
from odemom.matrix_files.read import read_matrix as read_matrix
from odemom.matrix_files.read import read_stream as read_stream
from odemom.matrix_files.write import matrix_text as matrix_text
from odemom.matrix_files.write import write_matrix as write_matrix
