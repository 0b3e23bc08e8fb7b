/* Memory of large results.
 *
 * (A) The memory of a few results that the caller has dropped is kept for the next ones.
 *     Reason: a new array costs more than its norm, as the system hands out pages one by one and clears each.
 * (B) Nobody waits for the table of kept blocks. A thread that finds it in use goes to the system instead.
 *     Reason: a child of fork() may find it in use by a thread that does not exist there.
 */
#ifndef NORMCY_OUTPUTS_H
#define NORMCY_OUTPUTS_H

#include <stddef.h>

enum { NORMCY_LARGE = 1 << 20 }; /* results of this many bytes and more gain from kept memory */

/* Sets how many bytes are kept at most; 0 keeps none. */
void normcy_keep_outputs(size_t bytes);

/* As malloc, realloc and free. `size` of normcy_give_back is what the block was taken or resized with. */
void *normcy_take(size_t size);
void *normcy_resize(void *p, size_t size);
void normcy_give_back(void *p, size_t size);

#endif
