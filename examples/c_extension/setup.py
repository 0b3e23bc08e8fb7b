"""python setup.py build_ext --inplace"""

from setuptools import Extension, setup

import normcy

module = Extension(
    "pthread_norms",
    ["module.c"],
    include_dirs=[normcy.get_include()],
    extra_compile_args=["-std=gnu11", "-Wall", "-Wextra", "-pthread"],
    extra_link_args=["-pthread"],
)
setup(name="pthread_norms", ext_modules=[module])
