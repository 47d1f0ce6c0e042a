/*
 * token.pml - when a token's cell may be vacated.
 *
 * One cell, whose word is {generation, phase, released}. Its owner makes a token, hands out its name,
 * may end it, and lets go of it, NG times; it may be killed anywhere, and its reaper lets go then. Users
 * (clients) submit a job with the name that they were given: they write the name into their slot, fence,
 * look at the word again. Collectors see that a token was released, fence, look through all slots, and
 * vacate the cell by CAS from the word they saw. Asserted: who named a token and saw it unreleased behind
 * the fence finds it there, with its end, as long as he names it.
 *
 * One statement or atomic block is one access to shared memory. Sizes: NU users, NC collectors, NG
 * tokens, KO kills of the owner; -DM_...: mutants.
 */
#ifndef NU
#define NU 2
#endif
#ifndef NC
#define NC 1
#endif
#ifndef NG
#define NG 2
#endif
#ifndef KO
#define KO 1
#endif

#define VACANT 0
#define MAKING 1
#define LIVE 2
#define ENDED 3

byte gen, phase;	/* the word */
bit released;
byte name;		/* of the latest token, as it was handed out; 0: none yet */
byte slot[NU];		/* the name in the slot of each user's job; 0: none */
bit keeps[NU];		/* this user may count on its token */
byte ko;
bit odead, odone;

/* What was promised to who looked and saw a token that was not released. */
#define PROMISE(u) assert(!keeps[u] || (gen == slot[u] && phase >= LIVE))

active proctype owner()
{
	byte n = 0;

	do
	:: n < NG ->
		/* take and fill */
		atomic { phase == VACANT -> gen++; phase = MAKING; released = 0 };
		if :: ko < KO -> ko++; odead = 1; goto dead :: true fi;
		phase = LIVE;
		if :: ko < KO -> ko++; odead = 1; goto dead :: true fi;
		name = gen;
		if :: phase = ENDED :: true fi;
		if :: ko < KO -> ko++; odead = 1; goto dead :: true fi;
		released = 1;
		n++
	:: else -> break
	od;
	odone = 1;
	goto over;
dead:
	/* the reaper, repeated from the start by a successor: idempotent */
	atomic { if :: phase == MAKING -> phase = VACANT :: phase >= LIVE -> released = 1 :: else fi };
	odone = 1;
over:	skip
}

proctype user(byte u)
{
	byte g, n = 0;
	bit gone;

	do
	:: n < NG && name != 0 ->
		g = name;
		/* the look before: refused when it is gone, released, or has ended */
		atomic { gone = (gen != g || phase < LIVE || released || phase == ENDED) };
		if
		:: gone -> n++
		:: else ->
			slot[u] = g;	/* S3 */
#ifdef M_NORECHECK
			gone = 0; keeps[u] = 1;
#else
			/* O3, and the look behind it */
			atomic { gone = (gen != g || phase < LIVE || released);
				keeps[u] = !gone };
#endif
			PROMISE(u);
			/* the job waits or runs, for as long as it likes */
			do
			:: PROMISE(u)
			:: break
			od;
			PROMISE(u);
			atomic { keeps[u] = 0; slot[u] = 0 };	/* C1 */
			n++
		fi
	:: n < NG && name == 0 && odone -> break
	:: n >= NG -> break
	od
}

proctype collector()
{
	byte i, g, p;
	bit used;
again:
	do
	:: atomic { phase >= LIVE && released -> g = gen; p = phase };
#ifdef M_UNRELEASED
	:: atomic { phase >= LIVE -> g = gen; p = phase };
#endif
		/* O5 */
		used = 0; i = 0;
#ifndef M_NOSCAN
		do
		:: i < NU -> used = used || slot[i] == g; i++
		:: else -> break
		od;
#endif
		if
		:: used -> skip
		:: else ->
#ifdef M_NOCAS
			phase = VACANT
#else
			atomic { if :: gen == g && phase == p -> phase = VACANT :: else fi }
#endif
		fi
	od
}

init
{
	byte u = 0;

	atomic {
		do :: u < NU -> run user(u); u++ :: else -> break od;
		u = 0;
		do :: u < NC -> run collector(); u++ :: else -> break od
	}
}

/* In quiescence the collectors wait for a token that was released, and there is none. */
