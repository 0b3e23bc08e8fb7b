"""The types of normcy/include/normcy.h, which clients of the C interface share with the engine.

They are declared once, in the file that clients in Cython have. It is pasted, as a module of the name normcy would hide
this package.
"""
include "../../../normcy/include/normcy.pxd"
