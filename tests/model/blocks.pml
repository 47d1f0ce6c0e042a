/*
 * blocks.pml - who owns a block: the owner word {slot, generation} and the rule that reads it.
 *
 * A block is free iff its word is 0, or the job that it names is booked: the sum of the slot's books is not
 * smaller than its generation. It is taken by one CAS on the whole word, by the client (slot FILLING) or by the worker (slot RUNNING). The
 * client gives it back early with CAS {s,g} -> 0 before it books the job; whatever it does not give back (a
 * dead attempt's reply, a killed client's request) is free by the rule as soon as the slot is vacant.
 *
 * One statement or atomic block is one access to shared memory. Client c serves slot c. Sleep and wake
 * are left out: everybody polls. Sizes: NS clients and slots, NW workers, NB blocks, NG jobs per slot,
 * KC and KW kills, NX cancellations of running jobs; STALE: the books may have been read before
 * the block word (which is what a machine with weak ordering may do); -DM_...: mutants.
 */
#ifndef NS
#define NS 2
#endif
#ifndef NW
#define NW 1
#endif
#ifndef NB
#define NB 2
#endif
#ifndef NG
#define NG 2
#endif
#ifndef KC
#define KC 0
#endif
#ifndef KW
#define KW 0
#endif
#ifndef NX
#define NX 0
#endif

#define FREE 0
#define FILLING 1
#define QUEUED 2
#define RUNNING 3
#define DONE 4

byte ph[NS], gn[NS], ow[NS], at[NS];	/* the slot word */
byte sm[NS];				/* the sum of the slot's books */
bit fl[NS];
byte req[NS], rep[NS];			/* the slot's descriptors: block + 1, or 0 */
byte bw[NB];				/* owner words of the blocks */
bit walive[NW], wgone[NW], calive[NS], cgone[NS];
byte kc, kw, kx;
bit calm;

#ifdef M_NOGEN
#define WORD(s,g) (((s) + 1) * 16)
#else
#define WORD(s,g) (((s) + 1) * 16 + (g))
#endif
#define SLOT(w) ((w) / 16 - 1)
#define GEN(w) ((w) % 16)

#define VACANT(s) (ph[s] == FREE || (ph[s] == DONE && sm[s] == gn[s]))
#define OVER(s) ph[s] = FREE; sm[s] = gn[s]; ow[s] = 0; fl[s] = 0; at[s] = 0

/* n: the sum of the books, as it was read. */
#ifdef M_NOGEN
#define ISFREE(w, n) VACANT(SLOT(w))
#else
#ifdef M_SMALLERFREE
#define ISFREE(w, n) (n != GEN(w) - 1)
#else
#ifdef M_DONEISFREE
#define ISFREE(w, n) (n >= GEN(w) || ph[SLOT(w)] == DONE)
#else
#define ISFREE(w, n) (n >= GEN(w))
#endif
#endif
#endif

/* Takes any one free block for {s, g}; mine = block + 1, or 0 when none was had. */
inline take(s, g)
{
	b = 0;
	do
	:: b >= NB -> b = 0; break
	:: b < NB ->
#ifdef STALE
		if
		:: d_step { seen = 0; n = sm[0] }
		:: d_step { seen = 1; n = sm[1] }
		fi;
		t = bw[b];
		if
		:: atomic { t == 0 || (SLOT(t) == seen && ISFREE(t, n)) }
		:: atomic { else -> b++; goto next }
		fi;
#else
		t = bw[b];
		if
		:: t == 0
		:: t != 0 ->
			d_step { n = sm[SLOT(t)] };
			if
			:: ISFREE(t, n)
			:: else -> d_step { b++; t = 0; n = 0 }; goto next
			fi
		fi;
#endif
#ifdef M_NOCAS
		d_step { bw[b] = WORD(s, g); mine = b + 1; b = NB };
#else
		d_step {
			if
			:: bw[b] == t -> bw[b] = WORD(s, g); mine = b + 1; b = NB
			:: else -> b++
			fi
		};
#endif
		d_step { t = 0; n = 0; seen = 0 };
next:		skip
	od
}

/* To write to a block, or to read it, one must own it still. */
#define OWNED(blk, s, g) (bw[(blk) - 1] == WORD(s, g))

#ifdef M_FREEFLAGGED
#define TAKABLE(s) (ph[s] == DONE || (ph[s] == RUNNING && fl[s]))
#define BOOK(s) OVER(s)
#else
#define TAKABLE(s) (ph[s] == DONE && sm[s] != gn[s])
#define BOOK(s) sm[s] = gn[s]
#endif

proctype client(byte c)
{
	byte b, t, n, mine, seen;
	bit wants;
begin:
	{
		calive[c];
		do
		:: atomic {
			!calm && gn[c] < NG && (ph[c] == FREE || (ph[c] == DONE && sm[c] == gn[c])) ->	/* S1 */
			ph[c] = FILLING; ow[c] = 0; fl[c] = 0; at[c] = 0; gn[c]++; req[c] = 0; rep[c] = 0;
			if :: wants = 1 :: true fi
		   };
		   if
		   :: wants ->
			take(c, gn[c]);
			if
			:: mine ->
				d_step { assert(OWNED(mine, c, gn[c])); req[c] = mine };	/* S2 */
				assert(OWNED(mine, c, gn[c]))
			:: else
			fi
		   :: else
		   fi;
		   d_step { wants = 0; mine = 0; ph[c] = QUEUED };		/* S3 */
		:: d_step { !calm && kx < NX && ph[c] == RUNNING && !fl[c] -> kx++; fl[c] = 1 }	/* X2 */
		:: atomic { TAKABLE(c) ->
			assert(req[c] == 0 || OWNED(req[c], c, gn[c]));
			assert(rep[c] == 0 || OWNED(rep[c], c, gn[c])) };	/* C1: the reply is read */
#ifdef M_LATERELEASE
		   d_step { BOOK(c) };
		   if :: req[c] -> bw[req[c] - 1] = 0 :: else fi;
		   if :: rep[c] -> bw[rep[c] - 1] = 0 :: else fi
#else
		   if
		   :: d_step { req[c] && OWNED(req[c], c, gn[c]) -> bw[req[c] - 1] = 0 }
		   :: else
		   fi;
		   if
		   :: d_step { rep[c] && OWNED(rep[c], c, gn[c]) -> bw[rep[c] - 1] = 0 }
		   :: else
		   fi;
		   d_step { BOOK(c) }
#endif
		od
	} unless { atomic { !calive[c] && !cgone[c] -> b = 0; t = 0; n = 0; mine = 0; seen = 0; wants = 0; cgone[c] = 1 } };
	atomic { calive[c] -> cgone[c] = 0; goto begin }
}

proctype worker(byte k)
{
	byte b, t, n, mine, seen, s, g;
	bit wants;
begin:
	{
		walive[k];
		do
		:: atomic {							/* W2 */
			if
			:: ph[0] == QUEUED -> s = 0
#if NS > 1
			:: ph[1] == QUEUED -> s = 1
#endif
#if NS > 2
			:: ph[2] == QUEUED -> s = 2
#endif
			fi;
			ph[s] = RUNNING; ow[s] = k + 1; g = gn[s];
			if :: wants = 1 :: true fi
		   };
		   assert(req[s] == 0 || OWNED(req[s], s, g));			/* W4: the request is read */
		   if
		   :: wants ->
			take(s, g);
			if
			:: mine ->
				assert(OWNED(mine, s, g));			/* W5: written, again and again */
				d_step { assert(OWNED(mine, s, g)); rep[s] = mine }
			:: else
			fi
		   :: else
		   fi;
		   d_step {							/* W6 */
#ifndef M_FREEFLAGGED
			assert(ph[s] == RUNNING && gn[s] == g && ow[s] == k + 1);
#endif
			if :: ph[s] == RUNNING && gn[s] == g && ow[s] == k + 1 -> ph[s] = DONE :: else fi;
			s = 0; g = 0; mine = 0; wants = 0
		   }
		od
	} unless { atomic { !walive[k] && !wgone[k] -> b = 0; t = 0; n = 0; mine = 0; seen = 0; s = 0; g = 0; wants = 0; wgone[k] = 1 } };
	atomic { walive[k] -> wgone[k] = 0; goto begin }
}

/* The reaper, never killed here: window.pml does that. It gives no block back: the rule does. */
inline reap_worker(k)
{
	do
	:: s < NS ->
		atomic {
			if
			:: ph[s] == RUNNING && ow[s] == k + 1 ->
				if
				:: !fl[s] && at[s] == 0 -> ph[s] = QUEUED; at[s] = 1; ow[s] = 0
				:: ph[s] = DONE
				fi
			:: else
			fi;
			s++
		}
	:: else -> break
	od;
	atomic { s = 0; walive[k] = 1 }
}
inline reap_client(c)
{
	if
	:: ph[c] == FREE -> calive[c] = 1			/* leased again */
	:: ph[c] == FILLING || ph[c] == DONE -> OVER(c)
	:: ph[c] == QUEUED -> ph[c] = DONE
	:: ph[c] == RUNNING && !fl[c] -> fl[c] = 1
	fi
}
#define REAPABLE(c) (!calive[c] && cgone[c] && !(ph[c] == RUNNING && fl[c]))

proctype supervisor()
{
	byte s;

	do
	:: atomic { !walive[0] && wgone[0] }; reap_worker(0)
#if NW > 1
	:: atomic { !walive[1] && wgone[1] }; reap_worker(1)
#endif
	:: atomic { REAPABLE(0) -> reap_client(0) }
#if NS > 1
	:: atomic { REAPABLE(1) -> reap_client(1) }
#endif
#if NS > 2
	:: atomic { REAPABLE(2) -> reap_client(2) }
#endif
	od
}

active proctype main()
{
	byte i;

	atomic {
		do :: i < NW -> walive[i] = 1; run worker(i); i++ :: else -> break od;
		i = 0;
		do :: i < NS -> calive[i] = 1; run client(i); i++ :: else -> break od;
		i = 0;
		run supervisor()
	};
	do
	:: d_step { kc < KC && calive[0] -> kc++; calive[0] = 0 }
	:: d_step { kc < KC && calive[1] -> kc++; calive[1] = 0 }
	:: d_step { kw < KW && walive[0] -> kw++; walive[0] = 0 }
#if NW > 1
	:: d_step { kw < KW && walive[1] -> kw++; walive[1] = 0 }
#endif
	:: atomic { calm = 1 }; break
	od;

	/* Everything has ended, and then every block is free. */
	timeout ->
	d_step {
		i = 0;
		do
		:: i < NS -> assert(VACANT(i)); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NB ->
			assert(bw[i] == 0 || ISFREE(bw[i], sm[SLOT(bw[i])]));
			i++
		:: else -> break
		od
	}
}
