/* How many threads a call can have.
 *
 * (A) GNU's OpenMP ends the process where it cannot start a thread. So before a call asks it for more threads than it
 *     has, as many plain threads are started and ended again, and the call takes no more than could be started.
 * (B) OpenMP keeps the threads that it started for a calling thread, its workers, for that thread's later calls. So
 *     workers are counted as they come and go, and (A) is needed only where a call takes more of them than ever before.
 * (C) OpenMP ends some workers once the same thread asks for fewer, in whatever library. That is why the size
 *     of the last team counts, too.
 */
#ifndef NORMCY_THREADS_H
#define NORMCY_THREADS_H

/* The workers of one calling thread. */
typedef struct normcy_workers normcy_workers;

/* Has to be called once, before anything else here; returns 0 on success. */
int normcy_threads_init(void);

/* The workers of the calling thread. NULL if there is no memory: then it has to work alone. */
normcy_workers *normcy_own_workers(void);

/* How many threads shall run `parts` parts: at least one, at most `max_threads`, and no more than can be started. The
 * caller must enter a parallel region of that size at once, and each of its threads must call normcy_register_worker
 * first. */
int normcy_team_size(normcy_workers *workers, int parts, int max_threads);

/* Counts the current thread among these workers until it ends, or until it works for another caller. */
void normcy_register_worker(normcy_workers *workers);

#endif
