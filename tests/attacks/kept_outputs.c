/* Checks what src/runtime/outputs.c keeps and what it lets go of. That file is built with -Dfree=noted_free and
 * -Drealloc=noted_realloc, so that this program sees its calls. The exit status is the number of the check that failed,
 * or 0.
 */
#undef free
#undef realloc
#include "runtime/outputs.h"

#include <stdlib.h>

enum { MIB = 1 << 20, MANY = 100, KEPT = 8, NOTED = 4096 };

static void *freed[NOTED];
static int frees;
static size_t asked;

void noted_free(void *p) {
    if (p)
        freed[frees++ % NOTED] = p;
    free(p);
}

void *noted_realloc(void *p, size_t size) {
    asked = size;
    return realloc(p, size);
}

/* Takes some blocks and gives all of them back. Returns how many of them are kept. */
static int kept_of(int blocks, size_t size) {
    void *p[MANY];
    for (int i = 0; i < blocks; i++)
        p[i] = normcy_take(size);
    int before = frees, kept = blocks;
    for (int i = 0; i < blocks; i++)
        normcy_give_back(p[i], size);
    for (int i = 0; i < blocks; i++)
        for (int k = before; k < frees; k++)
            kept -= freed[k % NOTED] == p[i];
    return kept;
}

#define CHECK(number, holds)                                                                                           \
    if (!(holds))                                                                                                      \
    return number

int main(void) {
    normcy_keep_outputs(64 * MIB);
    void *large = normcy_take(9 * MIB), *small;
    normcy_give_back(large, 9 * MIB);
    small = normcy_take(2 * MIB);
    CHECK(1, small != large && frees == 0); /* a block of another size is not taken */
    CHECK(2, normcy_take(9 * MIB) == large);
    normcy_give_back(large, 9 * MIB);
    normcy_give_back(small, 2 * MIB);
    CHECK(3, frees == 0 && kept_of(MANY, 2 * MIB) <= KEPT); /* no more than the table has room for */
    for (int i = 0; i < MANY; i++)                          /* blocks that were taken again do not count as kept */
        CHECK(4, kept_of(4, 4 * MIB) == 4);
    CHECK(5, kept_of(4, 20 * MIB) == 3); /* kept blocks stay within the budget */
    CHECK(6, kept_of(1, 65 * MIB) == 0);
    CHECK(7, kept_of(1, NORMCY_LARGE / 2) == 0);
    void *p = normcy_resize(normcy_take(2 * MIB), 2 * MIB + 1); /* sizes are rounded up, as for the next request */
    CHECK(8, p && asked > 2 * MIB + 1 && asked % 4096 == 0);
    normcy_give_back(p, 2 * MIB + 1);
    CHECK(9, normcy_take(asked) == p);
    return 0;
}
