/* What belongs to the process or the thread rather than to a panel: fork and thread settings. */
#ifndef NORMCY_PROCESS_H
#define NORMCY_PROCESS_H

/* Installs the fork handler; 0 on success. */
int normcy_process_init(void);

/* Whether this is a child of fork(). It has none of the threads that OpenMP, asked by whatever library, may have left
 * to its only one, and believes to have: a parallel region there would wait for them forever. */
int normcy_forked(void);

/* This thread's own thread count (0: none), as set by `with num_threads(n)`. */
int normcy_thread_override(void);
void normcy_set_thread_override(int n);

/* CPUs that this thread may run on, by affinity. */
int normcy_affinity(void);

#endif
