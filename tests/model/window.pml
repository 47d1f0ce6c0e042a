/*
 * window.pml - the life of a job: slot words, the workers' sleep, the clients' sleep, the reaper.
 *
 * One statement or atomic block is one access to shared memory or one futex call; SIGKILL may fall
 * between any two of them, SIGSTOP is an arbitrary delay, so it needs no statement. A compare-and-swap
 * on the whole word that fails does nothing, so the read before it is left out (the mutants whose
 * comparison is too weak get the read back). Hints (cursor, tail, active mask) are
 * abstracted: a look that is not a full scan may see any QUEUED slot or none. Sleeps are unbounded and
 * there is no tick, both of which would hide a lost wake-up.
 *
 * Bells are counters in the code. Here a bell is one bit per sleeper: "somebody has bumped it since I
 * remembered it", which is the same thing as long as 2^32 bumps do not fit into one sleep.
 *
 * Invariants and end states are asserted in place and in `main`. Sizes:
 *	NW workers; NC clients of NT threads; SPT slots per thread; NJ jobs in all
 *	KW, KC, KS kills of workers, clients, supervisors; NX cancellations; NH handlers that hang
 *	WAITS: clients sleep on their bell (otherwise they poll); -DM_...: mutants
 */
#ifndef NW
#define NW 2
#endif
#ifndef NC
#define NC 1
#endif
#ifndef NT
#define NT 1
#endif
#ifndef SPT
#define SPT 2
#endif
#ifndef NJ
#define NJ 2
#endif
#ifndef KW
#define KW 0
#endif
#ifndef KC
#define KC 0
#endif
#ifndef KS
#define KS 0
#endif
#ifndef NX
#define NX 0
#endif
#ifndef NH
#define NH 0
#endif
#ifndef ORDER
#define ORDER 0
#endif
#ifndef ALL
#define ALL false		/* the reaper wakes one sleeper, or all of them */
#endif
#define WIN (NT*SPT)
#define NS (NC*WIN)
#define NQ (NC*NT)
#define ATTEMPTS 1		/* retries allowed to an idempotent job */

#define FREE 0
#define FILLING 1
#define QUEUED 2
#define RUNNING 3
#define DONE 4

#define OK 1
#define CANCELLED 2
#define LOST 3
#define WITHDRAWN 4

#define EMPTY 0
#define STARTING 1
#define UP 2
#define DEAD 3

/* The slot word. gn = generation, ow = owner + 1, at = attempt, oc = outcome, fl = decided by a flag. */
byte ph[NS], gn[NS], ow[NS], at[NS], oc[NS];
bit fl[NS], wt[NS];
byte owed[NS];			/* generation - sum of the counters: what is not yet booked, 0 or 1 */

/* Ghosts, which no process of the real thing reads: executions of the present job; idempotent and
 * detached are chosen when first asked for; the caller has been told of the flag; cancelled by someone. */
byte ex[NS];
bit idem[NS], det[NS], told[NS], canc[NS];

/* The masks of the pool. */
byte up, slp, eng;
#define SET(m,k) m = m | (1 << (k))
#define CLR(m,k) m = m & ~(1 << (k))
#define HAS(m,k) ((m >> (k)) & 1)

bit bell[NW], asl[NW];		/* worker's bell was bumped; worker stands in FUTEX_WAIT */
bit crung[NQ], casl[NQ];	/* the same for the threads of clients, each with its own mask of slots */

byte wst[NW], cst[NC];		/* places */
bit walive[NW], wgone[NW], calive[NC], cgone[NQ], sdie;
byte jobs, kw, kc, ks, kx, nh;
bit calm, shung[NW];

#define BUSY(s) (ph[s] == QUEUED || ph[s] == RUNNING)
#define ENDED(s) (ph[s] == DONE && owed[s] == 1)		/* and waits for its client */
#define VACANT(s) (ph[s] == FREE || (ph[s] == DONE && owed[s] == 0))

/* Naps are counted in the code. Here roused[k] is "roused = naps" of worker k, and same[k] are the
 * processes that have read naps of k since it was counted up. */
bit roused[NW];
byte same[NW];
#define SAY_ROUSED if :: HAS(same[i], _pid) -> roused[i] = 1; CLR(same[i], _pid) :: else fi
#define TAKE_NAP roused[k] = 0; same[k] = 0

/* FUTEX_WAKE on the bells in the mask z; a wake that woke nobody tries the next bit. */
#ifdef M_NONEXT
#define WOKE_NOBODY i = NW
#else
#define WOKE_NOBODY i++
#endif
#ifdef M_NOBUMP
#define BUMP skip
#else
#define BUMP bell[i] = 1
#endif
inline wake(z, all)
{
	do
	:: d_step { i < NW && HAS(z, i) -> SET(same[i], _pid) };
#ifdef M_ROUSEDFIRST
	   SAY_ROUSED;
#endif
	   d_step { BUMP };
	   d_step { woke = asl[i]; asl[i] = 0 };
	   d_step {
#ifndef M_ROUSEDFIRST
		SAY_ROUSED;
#endif
		if
		:: woke -> if :: all -> i++ :: else -> i = NW fi
		:: else -> WOKE_NOBODY
		fi;
		woke = 0
	   }
	:: d_step { i < NW && !HAS(z, i) -> i++ }
	:: d_step { i >= NW -> i = 0 }; break
	od
}

/* The client bell of slot s: bell++, then FUTEX_WAKE_BITSET(all, bit of s). */
inline ring(s)
{
#ifndef M_NOBUMPC
	d_step {
		i = 0;
		do :: i < NT -> crung[(s/WIN)*NT + i] = 1; i++ :: else -> break od;
		i = 0
	};
#endif
#ifdef M_NOBITSET
	d_step {
		do :: i < NT && !casl[(s/WIN)*NT + i] -> i++ :: i < NT && casl[(s/WIN)*NT + i] -> casl[(s/WIN)*NT + i] = 0; break :: i >= NT -> break od;
		i = 0
	}
#else
	d_step { casl[s/SPT] = 0 }
#endif
}

#ifdef M_SKIPDRAIN
#define LEASED(s) (cst[(s)/WIN] == UP)
#else
#define LEASED(s) true
#endif

/* Every slot of every leased window, one look each. Leaves s = a QUEUED slot, or NS. */
inline scan(s)
{
	do
	:: d_step { s < NS && !(LEASED(s) && ph[s] == QUEUED) -> s++ }
	:: s < NS && LEASED(s) && ph[s] == QUEUED -> break
	:: s >= NS -> break
	od
}

/* W2. The checks are ghosts: a job that is not idempotent runs once. */
inline claim()
{
	assert(ow[s] == 0 && !fl[s]);
	assert(ex[s] == 0 || (idem[s] && ex[s] <= at[s] && at[s] <= ATTEMPTS));
	ex[s]++; ph[s] = RUNNING; ow[s] = k + 1
}

proctype worker(byte k)
{
	byte s, i, z, j, g;
	bit w, slow, b, woke;
begin:
	{
		walive[k];
		d_step { assert(wst[k] == STARTING); wst[k] = UP };
		SET(up, k);
look:
		if
		:: atomic { ph[0] == QUEUED -> s = 0 }; goto try
#if NS > 1
		:: atomic { ph[1] == QUEUED -> s = 1 }; goto try
#endif
#if NS > 2
		:: atomic { ph[2] == QUEUED -> s = 2 }; goto try
#endif
#if NS > 3
		:: atomic { ph[3] == QUEUED -> s = 3 }; goto try
#endif
		/* Before sleep: bell, bit, fence, all windows, FUTEX_WAIT. */
#ifdef M_BELLLATE
		:: skip
#else
		:: bell[k] = 0
#endif
		fi;
#ifndef M_NAPLATE
		d_step { TAKE_NAP };
#endif
#ifdef M_NOFENCEW
		scan(s);			/* the loads pass the store of the bit */
		if :: s < NS -> goto try :: else -> s = 0 fi;
		SET(slp, k);
#else
		SET(slp, k);
#ifndef M_NOSCAN
		scan(s);
		if
		:: s < NS -> CLR(slp, k); goto try
		:: else -> s = 0
		fi;
#endif
#ifdef M_BELLLATE
		bell[k] = 0;
#endif
#endif
#ifdef M_NAPLATE
		d_step { TAKE_NAP };
#endif
		d_step { if :: !bell[k] -> asl[k] = 1 :: else fi };
ends:		!asl[k];
		CLR(slp, k);
		goto look;

try:
#ifdef M_CLAIMNOGEN
		g = gn[s];
		atomic {
			if
			:: ph[s] == QUEUED -> assert(gn[s] == g); claim()
			:: else -> s = 0; goto look
			fi;
		};
#else
		atomic {						/* W2 */
			if
			:: ph[s] == QUEUED -> claim()
			:: else -> s = 0; goto look
			fi
		};
#endif
		d_step { g = gn[s] };
#if NH > 0
		if
		:: slow = 1
		:: goto finish
		fi;
#ifdef M_ENGLATE
		scan(j);
		SET(eng, k);
#else
		SET(eng, k);
		scan(j);
#endif
#ifndef M_ENGNOLOOK
		if
		:: atomic { j < NS -> j = 0 }; z = slp; wake(z, false); z = 0
		:: atomic { else -> j = 0 }
		fi;
#else
		j = 0;
#endif
		if
		:: d_step { nh < NH -> nh++; shung[k] = 1 };
endh:		   false
		:: skip
		fi;
finish:
#endif
#ifdef M_FINSTORE
		atomic { w = wt[s]; b = fl[s] };
		d_step {
			ph[s] = DONE; fl[s] = b; wt[s] = w; b = 0;
			if :: !fl[s] -> oc[s] = OK :: else fi
		};
#else
		atomic {						/* W6 */
			assert(ph[s] == RUNNING && gn[s] == g && ow[s] == k + 1);
			w = wt[s]; ph[s] = DONE;
			if :: !fl[s] -> oc[s] = OK :: else fi
		};
#endif
		if
		:: w -> ring(s)
		:: else
		fi;
		d_step { s = 0; w = 0; g = 0 };
		if
		:: slow -> d_step { CLR(eng, k); slow = 0 }
		:: else
		fi;
		goto look
	} unless { atomic { !walive[k] && !wgone[k] -> s = 0; i = 0; z = 0; j = 0; g = 0; w = 0; b = 0; slow = 0; woke = 0; shung[k] = 0; wgone[k] = 1 } };
	atomic { walive[k] -> wgone[k] = 0; goto begin }
}

/* C1 and the reaper's version of it: with the booking the job is over, and its slot vacant. `mine` = no
 * need to look at the books. */
#define NO_JOB ex[s] = 0; idem[s] = 0; det[s] = 0; told[s] = 0; canc[s] = 0
inline book(s, mine)
{
	d_step {
		if
		:: mine || owed[s] == 1 ->
			assert(owed[s] == 1);
			owed[s]--;
			assert(oc[s] != OK || ex[s] > 0);
			assert(oc[s] != CANCELLED || canc[s]);
			assert(!told[s] || oc[s] == CANCELLED);
			NO_JOB
		:: else
		fi
	}
}
/* The rest of the word of a vacant slot is the last job's. */
#define FRESH_WORD ow[s] = 0; at[s] = 0; oc[s] = 0; fl[s] = 0; wt[s] = 0
#ifdef M_FREEFIRST
#define FREED_BOOKED true
#else
#define FREED_BOOKED (owed[s] == 0)
#endif
inline release(s, phase)
{
	d_step {
		assert(ph[s] == phase && FREED_BOOKED);
		ph[s] = FREE; FRESH_WORD;
		NO_JOB
	}
}

/* S4 after the fence: the three masks, one load each, in any order. Leaves z = sleepers and u = who is
 * awake and free. */
inline look_at_masks()
{
#if ORDER == 1
	u = ~eng;
	z = slp;
	u = u & ~z & up
#elif ORDER == 2
	z = slp;
	u = ~eng;
	u = u & ~z & up
#else
	u = up;
	z = slp;
	u = u & ~z & ~eng
#endif
}
#if NW > 2
#define ONE_ROUSED(z) ((HAS(z, 0) && roused[0]) || (HAS(z, 1) && roused[1]) || (HAS(z, 2) && roused[2]))
#elif NW > 1
#define ONE_ROUSED(z) ((HAS(z, 0) && roused[0]) || (HAS(z, 1) && roused[1]))
#else
#define ONE_ROUSED(z) (HAS(z, 0) && roused[0])
#endif
inline wake_if_none_awake()
{
	if
	:: d_step { z == 0 || u != 0 -> z = 0; u = 0 }
	:: d_step { z != 0 && u == 0 -> u = 0 };
	   if
	   :: d_step { ONE_ROUSED(z) -> z = 0 }
	   :: d_step { !ONE_ROUSED(z) -> skip }; wake(z, false); z = 0
	   fi
	fi
}
/* The waiter's CAS on one slot, which it skips when the slot is marked already. x = one is decided. */
inline mark(s)
{
	d_step {
		if
		:: ENDED(s) || (BUSY(s) && fl[s] && !told[s]) -> x = 1
		:: BUSY(s) && !fl[s] -> wt[s] = 1
		:: else
		fi
	}
}
#define S0 (q*SPT)
#define S1 (q*SPT + SPT - 1)

proctype thread(byte q)
{
	byte s, i, u, z;
	bit pub, x, woke;
begin:
	{
		calive[q/NT];
		do
		:: atomic { !calm && jobs < NJ && VACANT(S0) -> s = S0 }; goto fill
		:: atomic { pub -> pub = 0; i = 0 };
		   look_at_masks();
		   wake_if_none_awake()
		:: atomic { !pub && ENDED(S0) -> s = S0 }; goto take
		:: d_step { ph[S0] == RUNNING && fl[S0] && !told[S0] -> told[S0] = 1 }
#if SPT > 1
		:: atomic { !calm && jobs < NJ && VACANT(S1) -> s = S1 }; goto fill
		:: atomic { !pub && ENDED(S1) -> s = S1 }; goto take
		:: d_step { ph[S1] == RUNNING && fl[S1] && !told[S1] -> told[S1] = 1 }
#endif
#ifdef WAITS
		:: d_step {
			!pub && ((BUSY(S0) && !fl[S0]) || (BUSY(S1) && !fl[S1])) ->
#ifndef M_BELLLATEC
			crung[q] = 0;					/* b = bell */
#endif
			i = 0
		   };
		   mark(S0);
#if SPT > 1
		   mark(S1);
#endif
#ifdef M_BELLLATEC
		   crung[q] = 0;
#endif
		   if
		   :: d_step { x -> x = 0 }
		   :: d_step { !x -> if :: !crung[q] -> casl[q] = 1 :: else fi };
endw:		      !casl[q]
		   fi
#endif
		od;
fill:
#if KC > 0
		atomic {						/* S1, S2 */
			assert(owed[s] == 0 && cst[q/NT] == UP);
			ph[s] = FILLING; FRESH_WORD; gn[s]++; owed[s]++; jobs++
		};
#endif
#ifdef M_NOFENCEC
		look_at_masks();				/* these loads pass the store of the word */
#endif
		atomic {						/* S3, with S1 when it fits */
#if KC == 0
			assert(owed[s] == 0);
			FRESH_WORD; gn[s]++; owed[s]++; jobs++;
#endif
			ph[s] = QUEUED;
#ifdef WAITS
			if :: wt[s] = 1 :: true fi;
#endif
#ifndef M_NOFENCEC
			pub = 1;
#endif
			s = 0
		};
#ifdef M_NOFENCEC
		wake_if_none_awake();
#endif
		goto begin;
take:
#ifdef M_FREEFIRST
		release(s, DONE);
		d_step { owed[s]--; s = 0 };
#else
		book(s, true);						/* C1 */
		s = 0;
#endif
		goto begin
	} unless { atomic { !calive[q/NT] && !cgone[q] -> s = 0; i = 0; u = 0; z = 0; pub = 0; x = 0; woke = 0; cgone[q] = 1 } };
	atomic { calive[q/NT] -> cgone[q] = 0; goto begin }
}

/* What the reaper of a client has to do something about. */
#define OPEN(s) (ph[s] == FILLING || ph[s] == DONE || (BUSY(s) && !det[s] && !fl[s]))
#define CGONE(c) (cgone[(c)*NT] && cgone[(c)*NT + NT - 1])

/* X1, X2: one CAS. w = somebody waits. */
inline cancel(s)
{
	canc[s] = 1; oc[s] = CANCELLED;
	if :: ph[s] == QUEUED -> ph[s] = DONE :: else -> fl[s] = 1 fi
}

/* The successor of a supervisor is the same process started again: nothing private survives. */
proctype supervisor()
{
	byte s, i, k, z, g;
	bit w, woke, cwoke[NC];
begin:
	{
#ifndef M_SUCCNORING
		/* Whoever died between a CAS and the ring may have been my predecessor. */
#if KS > 0 && defined(WAITS)
		do
		:: s < NS -> ring(s); s++
		:: s >= NS -> s = 0; break
		od;
#endif
#endif
work:
		do
		/* D: a worker proven dead. */
#ifdef M_TIMEOUT
		:: d_step { wst[0] == UP && kw < KW -> wst[0] = DEAD; kw++; i = 0 }
#else
		:: d_step { (wst[0] == UP || wst[0] == STARTING) && !walive[0] && wgone[0] -> wst[0] = DEAD; i = 0 }
#if NW > 1
		:: d_step { (wst[1] == UP || wst[1] == STARTING) && !walive[1] && wgone[1] -> wst[1] = DEAD; i = 0 }
#endif
#if NW > 2
		:: d_step { (wst[2] == UP || wst[2] == STARTING) && !walive[2] && wgone[2] -> wst[2] = DEAD; i = 0 }
#endif
#endif
		:: atomic { wst[0] == DEAD -> k = 0 }; goto reap
#if NW > 1
		:: atomic { wst[1] == DEAD -> k = 1 }; goto reap
#endif
#if NW > 2
		:: atomic { wst[2] == DEAD -> k = 2 }; goto reap
#endif
		/* A client proven dead. */
		:: d_step { cst[0] == UP && !calive[0] && CGONE(0) -> cst[0] = DEAD; cwoke[0] = 0 }
		:: atomic { cst[0] == DEAD && OPEN(0) -> s = 0 }; goto creap
#if WIN > 1
		:: atomic { cst[0] == DEAD && OPEN(1) -> s = 1 }; goto creap
#endif
		:: d_step { cst[0] == DEAD && !cwoke[0] -> cwoke[0] = 1 }; goto cwake
		:: atomic {
			cst[0] == DEAD && cwoke[0] && ph[0] == FREE && ph[WIN-1] == FREE -> 
			if
			:: !calm && jobs < NJ -> cst[0] = UP; calive[0] = 1
			:: cst[0] = EMPTY
			fi
		   }
#if NC > 1
		:: d_step { cst[1] == UP && !calive[1] && CGONE(1) -> cst[1] = DEAD; cwoke[1] = 0 }
		:: atomic { cst[1] == DEAD && OPEN(WIN) -> s = WIN }; goto creap
#if WIN > 1
		:: atomic { cst[1] == DEAD && OPEN(WIN+1) -> s = WIN+1 }; goto creap
#endif
		:: d_step { cst[1] == DEAD && !cwoke[1] -> cwoke[1] = 1 }; goto cwake
		:: atomic {
			cst[1] == DEAD && cwoke[1] && ph[WIN] == FREE && ph[2*WIN-1] == FREE ->
			if
			:: !calm && jobs < NJ -> cst[1] = UP; calive[1] = 1
			:: cst[1] = EMPTY
			fi
		   }
#endif
		/* A deadline or a cancellation. */
#if NX > 0
#ifdef M_CASNOGEN
		:: atomic { !calm && kx < NX && BUSY(0) && !fl[0] -> kx++; g = gn[0] };
		   d_step { if :: BUSY(0) && !fl[0] -> assert(gn[0] == g); w = wt[0]; cancel(0) :: else fi; g = 0 };
#else
		:: d_step { !calm && kx < NX && BUSY(0) && !fl[0] -> kx++; w = wt[0]; cancel(0);
#ifdef M_FLAGNORING
			w = w && ph[0] == DONE
#endif
		   };
#endif
		   if :: w -> ring(0) :: else fi; w = 0
#endif
		od;
reap:
#ifdef M_WAKEFIRST
		wake(slp, ALL);
#endif
#ifdef M_REUSEEARLY
		atomic { wst[k] = STARTING; walive[k] = 1 };
#endif
		CLR(slp, k);
		CLR(eng, k);
		CLR(up, k);
		do
		:: atomic { s >= NS -> s = 0 }; break
		:: atomic {
			s < NS ->
			if
			:: ow[s] == k + 1 && ph[s] == RUNNING ->
				if
				:: !fl[s] && at[s] < ATTEMPTS ->
					idem[s] = 1; ph[s] = QUEUED; at[s] = at[s] + 1; ow[s] = 0
				:: !idem[s] || at[s] >= ATTEMPTS || fl[s] ->
					w = wt[s]; ph[s] = DONE;
					if :: !fl[s] -> oc[s] = LOST :: else fi
				fi
#ifndef M_DONENORING
			:: ow[s] == k + 1 && ENDED(s) -> w = wt[s]
#endif
			:: else
			fi
		   };
		   if
		   :: w -> ring(s); w = 0
		   :: else
		   fi;
		   s++
		od;
#if !defined(M_REAPNOWAKE) && !defined(M_WAKEFIRST)
		z = slp; wake(z, ALL); z = 0;
#endif
		atomic {
#ifndef M_REUSEEARLY
			if
#ifdef M_TIMEOUT
			:: wst[k] = UP				/* and a second worker lives beside the first */
#else
			:: wst[k] = STARTING; walive[k] = 1
			:: wst[k] = EMPTY			/* crash loop: the place stays empty */
#endif
			fi;
#endif
			k = 0
		};
		goto work;
cwake:
#ifndef M_CREAPNOWAKE
		z = slp; wake(z, ALL); z = 0;
#endif
		goto work;
creap:
		if
		:: atomic { ph[s] == FILLING ->
			if :: owed[s] == 1 -> oc[s] = WITHDRAWN :: else fi };
#ifdef M_BOOKTWICE
		   book(s, true);
#else
		   book(s, false);
#endif
		   release(s, FILLING)
		:: atomic { ph[s] == DONE };
#ifdef M_BOOKTWICE
		   book(s, true);
#else
		   book(s, false);
#endif
		   release(s, DONE)
		:: atomic {
			BUSY(s) ->
			if
			:: !fl[s] && !det[s] -> 
				if :: det[s] = 1 :: cancel(s) fi
			:: else
			fi
		   }
		fi;
		s = 0;
		goto work
	} unless { atomic { sdie -> sdie = 0; s = 0; i = 0; k = 0; z = 0; g = 0; w = 0; woke = 0; cwoke[0] = 0;
#if NC > 1
		cwoke[1] = 0;
#endif
		goto begin } }
}

#define DECIDED(s) (ENDED(s) || (BUSY(s) && fl[s] && !told[s]))

active proctype main()
{
	byte i;
	bit stuck;

	atomic {
		do
		:: i < NW -> wst[i] = STARTING; walive[i] = 1; run worker(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NQ -> cst[i/NT] = UP; calive[i/NT] = 1; run thread(i); i++
		:: else -> break
		od;
		i = 0;
		run supervisor()
	};

	/* SIGKILL. `calm` may come at any time, else a kill to come would hide every lost wake-up. */
	do
	:: d_step { kw < KW && walive[0] -> kw++; walive[0] = 0; asl[0] = 0 }
#if NW > 1
	:: d_step { kw < KW && walive[1] -> kw++; walive[1] = 0; asl[1] = 0 }
#endif
#if NW > 2
	:: d_step { kw < KW && walive[2] -> kw++; walive[2] = 0; asl[2] = 0 }
#endif
	:: d_step { kc < KC && calive[0] -> kc++; calive[0] = 0; casl[0] = 0; casl[NT-1] = 0 }
#if NC > 1
	:: d_step { kc < KC && calive[1] -> kc++; calive[1] = 0; casl[NT] = 0; casl[2*NT-1] = 0 }
#endif
	:: d_step { ks < KS && !sdie -> ks++; sdie = 1 }
	:: atomic { calm = 1 }; break
	od;

	timeout ->
	d_step {
		i = 0;
		do
		:: i < NS ->
			/* No QUEUED job while a worker that is alive sleeps. */
			assert(ph[i] != QUEUED || slp == 0);
			/* No thread sleeps on a slot that is decided. */
			assert(!casl[i/SPT] || !DECIDED(i));
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NW ->
			assert(wst[i] == UP || wst[i] == EMPTY);
			assert(!asl[i] || HAS(slp, i));
			assert(!(wst[i] == EMPTY) || !(HAS(slp, i) || HAS(up, i) || HAS(eng, i)));
			if :: shung[i] -> stuck = 1 :: else fi;
			i++
		:: else -> break
		od;
		if
		:: up == 0 -> stuck = 1
		:: else
		fi;
		i = 0;
		do
		:: i < NS ->
			assert(stuck || VACANT(i));
			assert(ph[i] != FREE || owed[i] == 0);
			assert(ph[i] != FILLING && !ENDED(i));
			i++
		:: else -> break
		od
	}
}
