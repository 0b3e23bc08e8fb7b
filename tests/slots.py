"""Arrays with given slots, a row of values each, whatever axes a method's slots span in the array."""

from dataclasses import dataclass

import numpy as np
from methods import METHODS

EACH_CHANNEL, EACH_SAMPLE, SHARED_CHANNELS, EACH_POSITION = range(4)
WITH_SLOTS = [m for m in METHODS if m.group == 1]  # methods with groups of a fixed size have slots of other lengths


def where_slots_are(method):
    """Returns the axes of the array that distinguish slots."""
    slots = method.slots or method.name
    if slots == "layer2d":
        return EACH_POSITION
    if slots in ("group_1", "layer_chw", "layer_last", "rms_last"):
        return EACH_SAMPLE
    return SHARED_CHANNELS if slots == "group_some" else EACH_CHANNEL


@dataclass(frozen=True)
class Slots:
    """How `count` slots of `length` values lie in an array of a method and layout.

    Parameters have shape (count, `parts`): a value for the whole slot, for each channel that it spans, or for every
    element. All of a slot's parameters are its own, so that slots are independent of each other.
    """

    method: object
    layout: str
    count: int
    length: int
    samples: int = 1  # that a slot's values come from, if a slot is a channel

    @property
    def where(self):
        where = where_slots_are(self.method)
        return EACH_SAMPLE if where == SHARED_CHANNELS and self.length % 2 else where

    @property
    def across(self):
        """The number of channels that a slot spans."""
        if self.method.name.endswith("_last") or self.method.name == "add_layer":
            return self.length
        if self.where == EACH_POSITION:
            return self.length
        if self.where == SHARED_CHANNELS:
            return 2
        small = (g for g in (4, 3, 2) if self.length % g == 0 and self.length > g)
        return next(small, 1) if (self.method.slots or self.method.name) in ("group_1", "layer_chw") else 1

    @property
    def parts(self):
        if self.method.weights == "none":
            return 0
        return self.length if self.method.weights == "trailing" or self.where == EACH_POSITION else self.across

    def array(self, rows):
        """Returns rows of values as the array that the method takes."""
        if self.method.name.endswith("_last") or self.method.name == "add_layer":
            return rows
        if self.where == EACH_POSITION:
            return rows.T[None].copy() if self.layout == "NCHW" else rows[None]
        cut = rows.reshape(self.count, self.across, self.length // self.across)
        if self.where != EACH_SAMPLE:
            cut = cut.reshape(self.count * self.across, self.samples, -1).transpose(1, 0, 2).copy()
        return cut if self.layout == "NCHW" or self.method.name == "layer_chw" else cut.transpose(0, 2, 1).copy()

    def rows(self, array):
        """The inverse of `array`."""
        if self.method.name.endswith("_last") or self.method.name == "add_layer":
            return array
        if self.where == EACH_POSITION:
            return array[0].T if self.layout == "NCHW" else array[0]
        if self.layout == "NHWC" and self.method.name != "layer_chw":
            array = array.transpose(0, 2, 1)
        if self.where != EACH_SAMPLE:
            array = array.transpose(1, 0, 2)
        return array.reshape(self.count, self.length)

    def parameter(self, values):
        """Returns a weight or bias, (count, parts), in the shape that fits the array."""
        if self.parts == self.length and (self.method.weights == "trailing" or self.where == EACH_POSITION):
            return self.array(values)
        return values if self.where == EACH_SAMPLE else values.reshape(-1)

    def each(self, values):
        """Returns a parameter's values for rows, as (count, length) or in a shape that broadcasts to it."""
        return values if values.shape[1] in (1, self.length) else np.repeat(values, self.length // values.shape[1], 1)
