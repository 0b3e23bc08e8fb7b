/* Whether others use the CPUs, so that a call is better off with one thread.
 *
 * A call with several threads ends when the last of them has come and gone. Where other programs use the CPUs, each of
 * them can be without one for a time slice, 4 to 100 ms. One thread has nobody to wait for.
 *
 * (A) A call by a team gains what its caller alone would have taken longer, or loses what it would have been faster:
 *     then the caller waited for its team, or was without a CPU itself. The gains and losses of calls are added up.
 * When the losses outweigh the gains there is a pause, in which calls take one thread. Reason: on an idle machine calls
 * lose now and then, for example while the threads of another library spin, and most gain. On a crowded one some gain
 * by chance.
 * (B) A process begins with 100 ms of gains, and no more than these are remembered; after a pause there are 25 ms.
 *     Reason: threads of other libraries spin for some milliseconds after their work. That counts little so, and a
 * pause does not follow the other. It takes a few calls to notice that others use the CPUs for longer.
 * (C) A pause is as long as what was lost, times a factor that doubles with each pause, and halves with each 10 ms that
 *     teams gain.
 *     Reason: so a pause costs no more than the calls before it did, and losses become rare while others use the CPUs.
 * (D) A pause is measured in floats that calls by one thread go through, as many as the caller could have done in the
 *     time that was lost.
 *     Reason: what lies between calls says nothing about them, nor do times without a CPU within them. And to ask how
 *     long a thread had a CPU may cost it that CPU: Linux then sees that its time slice is over.
 * (E) The state is that of the process, in a few words that are read and written without a lock.
 *     Reason: its threads share the CPUs, and a new one need not find out again. Two verdicts at once may lose one of
 *     them, which changes the length of a pause and nothing else. Calls that are judged during a pause began
 *     before it, and do not count.
 */
#ifndef NORMCY_CROWDING_H
#define NORMCY_CROWDING_H

#include <stdint.h>

/* No work on a float takes longer, on any CPU: where no clock tells that a caller was without its CPU, this does. */
enum { NORMCY_MAX_NS_FOR_A_FLOAT = 4 };

/* Whether a call takes one thread now. */
int normcy_crowded(void);

/* Judges a call by a team of that many threads over `floats` floats that took `wall_ns`. Its caller was in its parts
 * for `own_ns`, of which it spent `waited_ns` waiting for others' parts; 0: too short for the clock. */
void normcy_judge_team(int threads, int64_t floats, int64_t wall_ns, int64_t own_ns, int64_t waited_ns);

/* Says that a call by one thread went through `floats` floats of a pause. */
void normcy_pass_pause(int64_t floats);

/* Judge calls from now on, or do not and take a team always; forgets what has been, gains too. */
void normcy_judge_calls(int wanted);

#endif
