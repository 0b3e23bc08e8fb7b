/* Copies rows of a few floats, which a call of memcpy for each would take ten times as long to begin as to copy. */
#ifndef NORMCY_NARROW_H
#define NORMCY_NARROW_H

#include <stddef.h>
#include <string.h>

enum { NORMCY_NARROW_FLOATS = 16 };

/* The length is a constant of each loop, so that its memcpy becomes a few instructions. */
#define NORMCY_COPY_ROWS(length)                                                                                       \
    case length:                                                                                                       \
        for (ptrdiff_t i = 0; i < rows; i++, to += to_step, from += from_step)                                         \
            memcpy(to, from, (length) * sizeof(float));                                                                \
        break;

/* Copies `rows` rows of `floats` floats, at most NORMCY_NARROW_FLOATS, which begin so many bytes after each other. */
static inline void normcy_copy_narrow(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step,
                                      ptrdiff_t rows, ptrdiff_t floats) {
    switch (floats) {
        NORMCY_COPY_ROWS(1)
        NORMCY_COPY_ROWS(2)
        NORMCY_COPY_ROWS(3)
        NORMCY_COPY_ROWS(4)
        NORMCY_COPY_ROWS(5)
        NORMCY_COPY_ROWS(6)
        NORMCY_COPY_ROWS(7)
        NORMCY_COPY_ROWS(8)
        NORMCY_COPY_ROWS(9)
        NORMCY_COPY_ROWS(10)
        NORMCY_COPY_ROWS(11)
        NORMCY_COPY_ROWS(12)
        NORMCY_COPY_ROWS(13)
        NORMCY_COPY_ROWS(14)
        NORMCY_COPY_ROWS(15)
        NORMCY_COPY_ROWS(16)
    }
}

#undef NORMCY_COPY_ROWS
#endif
