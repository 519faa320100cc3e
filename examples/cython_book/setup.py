"""Build the kernel next to its source: `python setup.py build_ext --inplace`."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import openmm

extension = Extension("imbalance", ["imbalance.pyx"], include_dirs=[openmm.get_include()])
setup(name="imbalance", ext_modules=cythonize([extension], language_level=3))
