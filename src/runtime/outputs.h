/* Memory of large results. A new array costs more than its norm: the system hands out pages one by one, each cleared.
 * So the memory of a few results that the caller has dropped is kept for the next ones.
 */
#ifndef NORMCY_OUTPUTS_H
#define NORMCY_OUTPUTS_H

#include <stddef.h>

enum { NORMCY_LARGE = 1 << 20 }; /* bytes from which it pays */

/* How many bytes to keep at most; 0: none. */
void normcy_keep_outputs(size_t bytes);

/* As malloc, realloc and free, but for the size of what is freed. */
void *normcy_take(size_t size);
void *normcy_resize(void *p, size_t size);
void normcy_give_back(void *p, size_t size);

#endif
