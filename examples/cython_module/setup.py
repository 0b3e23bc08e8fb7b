"""python setup.py build_ext --inplace"""

from Cython.Build import cythonize
from setuptools import Extension, setup

import normcy

include = normcy.get_include()  # Cython finds normcy.pxd there, and the C compiler normcy.h
openmp = ["-fopenmp"] if normcy.get_config()["openmp"] else []
module = Extension(
    "prange_norms",
    ["prange_norms.pyx"],
    include_dirs=[include],
    extra_compile_args=openmp,
    extra_link_args=openmp,
)
setup(name="prange_norms", ext_modules=cythonize(module, include_path=[include]))
