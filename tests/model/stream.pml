/*
 * stream.pml - the ring of a stream: who sleeps, and who rings.
 *
 * One producer emits N items of sizes 1 and K in turn into a ring of K; one consumer reads them and tells
 * of room when Q are free or nothing is left. Each sleeps on a bell; a sleep has a number, and who rings does
 * so once per number. Another thread of the client pauses and resumes (NP times), somebody decides the job
 * (NX), producer and consumer may be killed (KP, KC) and are reaped.
 *
 * One statement or atomic block is one access to shared memory, or one futex call; a ring is two (count up,
 * wake). Items are not modelled byte by byte: positions are. Sleeps have no time limit, which would hide a
 * lost wake-up. -DM_...: mutants.
 */
#ifndef N
#define N 3
#endif
#ifndef NP
#define NP 0
#endif
#ifndef NX
#define NX 0
#endif
#ifndef KP
#define KP 0
#endif
#ifndef KC
#define KC 0
#endif
#define K 3
#define Q 2
#define SIZE(i) ((i) % 2 -> K : 1)

byte tail, head;		/* the ring's words */
byte awaited, waits;
bit paused;
bit decided, done;		/* the slot's word */
bit cbell, csleep;		/* the client's bell: rung since remembered; somebody sleeps */
bit wbell, wsleep;		/* the worker's */
bit palive = 1, calive = 1, pended, cended;
bit left;
byte emitted, got;		/* what the world saw */
byte kp, kc, np;

#ifdef M_NOBUMP
#define RING(bell, sleeper) sleeper = 0
#else
#define RING(bell, sleeper) bell = 1; sleeper = 0
#endif

/* More than there are sleeps in a search: no number comes again (in the code, after 2^32). */
#define NUMBERS 24

/* Sleeps unless it was rung since it remembered. */
#define SLEEP(bell, sleeper) \
	atomic { if :: bell :: else -> sleeper = 1 fi }; \
	!sleeper

inline ring_client() { RING(cbell, csleep) }
inline ring_worker() { RING(wbell, wsleep) }

proctype producer()
{
	byte i, number, rung, h, a, t;
	bit p, d;
	{
	do
	:: i == N -> break
	:: i < N ->
		if :: decided -> break :: else fi;
		p = paused;
		h = head;
		d_step {
			if :: !p && K - (tail - h) >= SIZE(i) -> t = 1 :: else -> t = 0 fi;
			p = 0; h = 0
		};
		if :: t -> goto put :: else fi;
wait:
#ifndef M_BELLLATEP
		wbell = 0;						/* L1 */
#endif
#ifdef M_NOFENCEW
		p = paused; h = head; d = decided;
#endif
#ifdef M_ONENUMBERP
		number = 1;
#else
		number = number % NUMBERS + 1;
#endif
		waits = number;							/* I5, F10 */
#ifdef M_BELLLATEP
		atomic { p = paused }; h = head; d = decided;
		wbell = 0;
#else
#ifndef M_NOFENCEW
		d = decided;
		p = paused;
		h = head;
#endif
#endif
		d_step {
			if
			:: d -> t = 2
			:: !d && !p && K - (tail - h) >= SIZE(i) -> t = 1
			:: else -> t = 0
			fi;
			p = 0; h = 0; d = 0
		};
		if
		:: t == 2 -> waits = 0; break
		:: t == 1 -> waits = 0; goto put
		:: else
		fi;
		SLEEP(wbell, wsleep);
		goto wait;
put:
		t = 0;
		assert(tail + SIZE(i) - head <= K);
#ifdef M_NOFENCEP
		a = awaited;
#endif
		d_step { tail = tail + SIZE(i); emitted++ };			/* I1, F9 */
#ifndef M_NOFENCEP
		a = awaited;
#endif
		d_step {
			if :: a && a != rung -> rung = a; t = 1 :: else -> t = 0 fi;
			a = 0; i++
		};
		if :: t -> ring_client() :: else fi
	od;
	atomic { done = 1; pended = 1 };					/* W6 */
	ring_client()
	} unless { !palive }
}

inline tell()
{
#ifdef M_NOFENCET
	w = waits;
#endif
	head = h;								/* I3, F11 */
#ifndef M_NOFENCET
	w = waits;
#endif
	d_step {
		if :: w && w != rung -> rung = w; r = 1 :: else -> r = 0 fi;
		w = 0
	};
	if :: r -> r = 0; ring_worker() :: else fi
}

proctype consumer()
{
	byte h, number, rung, w, t;
	bit e, r;
	{
	do
	:: NX > 0 ->
		/* It leaves, whatever is there to be read. */
		if :: !done -> decided = 1 :: else fi;
		left = 1;
#ifndef M_LEAVENORING
		ring_worker();
#endif
		break
	:: t = tail;
	   if
	   :: t != h ->
read:		skip;
		d_step { h = h + SIZE(got); got++; t = 0; e = 0 };
		if :: h - head >= Q -> tell() :: else fi
	   :: else ->
#ifndef M_TELLLATE
		if :: head != h -> tell() :: else fi;
#endif
		e = done || decided;
#ifndef M_ENDFIRST
		if
		:: e ->
			/* What was emitted before the end is seen by now. */
			t = tail;
			if :: t != h -> goto read :: else -> break fi
		:: else
		fi;
#else
		if :: e -> break :: else fi;
#endif
#ifndef M_BELLLATEC
		cbell = 0;						/* L1 */
#endif
#ifdef M_NOFENCEC
		t = tail; e = done || decided;
#endif
#ifdef M_ONENUMBERC
		number = 1;
#else
		number = number % NUMBERS + 1;
#endif
		awaited = number;						/* I6, F8 */
#ifndef M_NOFENCEC
		t = tail;
		e = done || decided;
#endif
#ifdef M_BELLLATEC
		cbell = 0;
#endif
		d_step { r = t != h || e; t = 0; e = 0 };
		if
		:: r -> r = 0
		:: else -> SLEEP(cbell, csleep)
		fi;
		awaited = 0
	   fi
	od;
	cended = 1
	} unless { !calive }
}

/* Any thread of the client. */
proctype pauser()
{
	byte w;
	{
	do
	:: np < NP ->
		np++;
		paused = 1;
#ifdef M_NOFENCER
		w = waits;
#endif
		paused = 0;							/* F11 */
#ifndef M_NOFENCER
		w = waits;
#endif
#ifndef M_RESUMENORING
		if :: w -> ring_worker() :: else fi
#endif
	:: np == NP -> break
	od
	} unless { !calive }
}

/* The client, or the supervisor at a deadline: it rings whoever may wait. */
proctype decider()
{
	if
	:: true ->
		if :: !done -> decided = 1 :: else fi;
		ring_worker();
		ring_client()
	:: true
	fi
}

proctype reaper()
{
	do
	:: d_step { kp < KP && palive && !pended -> kp++; palive = 0 };
#ifndef M_REAPNORING
	   done = 1; ring_client()
#else
	   done = 1
#endif
	:: d_step { kc < KC && calive && !cended -> kc++; calive = 0 };
	   if :: !done -> decided = 1 :: else fi;
	   ring_worker()
	:: break
	od
}

active proctype main()
{
	atomic {
		run producer();
		run consumer();
		if :: NP > 0 -> run pauser() :: else fi;
		if :: NX > 0 -> run decider() :: else fi;
		if :: KP + KC > 0 -> run reaper() :: else fi
	};
	/* Nobody can move any more: nobody who lives may sleep. */
	timeout ->
	assert(!palive || pended);
	assert(!calive || cended);
	assert(!cended || decided || left || got == emitted);
	assert(kp || decided || emitted == N)
}
