/* State of the process and of its threads that has nothing to do with a panel: forks, and the number of threads.
 *
 * (A) A child of fork() knows that it is one, by a handler that is installed when normcy is imported. A process that
 *     imports normcy after it was forked does not.
 * (B) A child takes no lock that another thread may have held when it was forked: it is serial, so that it never starts
 *     threads (growth_lock in threads.c), and claims belong to a call.
 */
#ifndef NORMCY_PROCESS_H
#define NORMCY_PROCESS_H

/* Installs the handler of forks; returns 0 on success. */
int normcy_process_init(void);

/* Returns 1 in a child of fork(). After fork() OpenMP still believes in its thread pool, which any library may have
 * made; a parallel region in the child would wait for those threads forever. */
int normcy_forked(void);

/* The current thread's own number of threads, set by `with num_threads(n)`; 0 means that it has none. */
int normcy_thread_override(void);
void normcy_set_thread_override(int n);

/* How many CPUs the current thread may run on, by its affinity. */
int normcy_affinity(void);

#endif
