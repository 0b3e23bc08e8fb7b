/* Prints the sizes that src/runtime/caches.c reads from the folder NORMCY_CACHE_FOLDER, which it is compiled with. */
#include "runtime/caches.h"

#include <stdio.h>

int main(void) {
    normcy_caches caches = normcy_read_caches();
    printf("%td %td %td\n", caches.l1_bytes, caches.l2_bytes, caches.l3_bytes);
    return 0;
}
