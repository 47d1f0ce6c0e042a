/*
 * clockwork.h - a clock that goes on by a microsecond each time it is read, and by each
 * nap, so that what an operation does depends on what it did before, and on nothing
 * else.
 *
 * The linker puts it in the place of clock_gettime and nanosleep, here and in the
 * library.
 */
#ifndef CLOCKWORK_H
#define CLOCKWORK_H

void clock_restart(void);

#endif
