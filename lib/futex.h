/*
 * futex.h - the system call futex(2) on words that several processes map.
 *
 * Never the private variants: a private futex on a shared word wakes nobody next door.
 */
#ifndef CADRE_FUTEX_H
#define CADRE_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

/* Sleeps while *word is `seen`, at most timeout_ns, listening for wakes whose bits meet
 * `bits`. 0 after a wake or a signal or when the word had changed already; -ETIMEDOUT. */
int cadre_futex_wait(_Atomic uint32_t *word, uint32_t seen, uint32_t bits,
		     int64_t timeout_ns);

/* Wakes at most `most` sleepers whose bits meet `bits`; returns how many woke. */
int cadre_futex_wake(_Atomic uint32_t *word, int most, uint32_t bits);

#endif
