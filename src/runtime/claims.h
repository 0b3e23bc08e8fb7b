/* How the workers of a team divide the parts of a call among them: work stealing, one step after the other.
 *
 * A call is a sequence of steps. The parts of a step may run at the same time.
 *
 * (A) A step's parts are divided into as many shares as there are workers. A worker first claims parts of its own
 *     share, in order.
 *     Reason: they are one piece of memory and the same one in every step and every call, so that a worker finds in its
 *     caches what it read or wrote there.
 * (B) A worker whose share is empty claims parts of the others' shares.
 * (C) The end of a step waits for the parts that were claimed, and never for a worker that has not come.
 *     Reason: on a busy machine a worker can be without a CPU for tens of milliseconds. Others do its share meanwhile.
 * (D) A share is one word, the step and how many of its parts are claimed, and a claim is one compare-and-swap.
 *     Reason: nothing has to be reset between steps. A worker that comes late finds a later step in the word, which
 *     tells it that no part of its own step is left.
 * (E) Any number of workers can come, at any time, one after the other on one thread as well: each can finish the call
 *     alone.
 */
#ifndef NORMCY_CLAIMS_H
#define NORMCY_CLAIMS_H

#include <stddef.h>
#include <stdint.h>

typedef struct normcy_claims normcy_claims;

/* Claims of a call with up to `max_workers` workers. The caller frees them; NULL if there is no memory. */
normcy_claims *normcy_claims_init(int max_workers);

/* Claims one of the parts 0 to parts - 1 of a step for worker `own` of `workers`. Returns -1 if none is left. */
ptrdiff_t normcy_claim(normcy_claims *claims, uint32_t step, ptrdiff_t parts, int workers, int own);

/* Says that a claimed part is done. */
void normcy_part_done(normcy_claims *claims);

/* Waits until `count` parts of the call are done; what they wrote can be read then. Returns how many ns that took. */
int64_t normcy_await_parts(const normcy_claims *claims, ptrdiff_t count);

#endif
