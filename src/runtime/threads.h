/* The team of threads that share a call: no more than can be started.
 *
 * GNU's OpenMP ends the process where it cannot start a thread. It keeps a calling thread's workers for later calls,
 * but lets some go as soon as anybody, in any library, asks it for a smaller team. So workers are counted as they come
 * and go, and a team that needs more of them is tried with other threads first. */
#ifndef NORMCY_THREADS_H
#define NORMCY_THREADS_H

typedef struct normcy_crew normcy_crew;

/* Before anything else; 0 on success. */
int normcy_team_init(void);

/* The workers of the calling thread; NULL without memory: then it works alone. */
normcy_crew *normcy_own_crew(void);

/* How many threads take on `parts` parts, from one up to `most`: the workers that are there, or as many more as parts
 * need and can be started. A region must follow at once, whose threads all call normcy_serve. */
int normcy_team(normcy_crew *crew, int parts, int most);

/* Called by each thread of a region before its part: it belongs to that crew until it ends. */
void normcy_serve(normcy_crew *crew);

#endif
