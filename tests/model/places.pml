/*
 * places.pml - who owns a place: a worker's, from before the fork to the scan after its death (default),
 * or a client's, from the hello on the socket to the drained window (-DLEASES).
 *
 * A place's word holds state, incarnation and the owner's pid, and changes by CAS as a whole. A worker
 * becomes the owner by CAS STARTING(i) -> UP(i, pid) and leaves if that fails; until then it writes
 * nothing that is shared. Its start time it writes afterwards; the supervisor has cleared it before
 * STARTING, and as long as it is not written the pid alone is believed. M_IDAPART writes pid and start
 * time beside the word and before the CAS, as DESIGN.md had it, and fails (see README.md).
 *
 * Processes are numbered as they are forked, so "start time equal and pidfd not readable" is alive[id].
 * Sizes: MAXF forks, KW kills of workers, KS kills of the supervisor; LEASES: NC clients, NP places,
 * KC kills of clients. -DM_...: mutants.
 */
#ifndef MAXF
#define MAXF 4
#endif
#ifndef KW
#define KW 2
#endif
#ifndef KS
#define KS 2
#endif

#define EMPTY 0
#define STARTING 1
#define UP 2
#define DEAD 3

#ifndef LEASES

#define NOBODY MAXF
#define NS 2
byte st, inc, who = NOBODY;		/* the word of the place */
byte start = NOBODY;			/* whose start time stands beside the word; NOBODY = cleared */
bit alive[MAXF+1];			/* the last: nobody */
byte forks, kw, ks, spid;
bit calm, sdie;
bit owns[MAXF+1];			/* ghost: who believes that the place is his */
#if MAXF > 4
#define OWNERS5 + (alive[4] && owns[4])
#else
#define OWNERS5
#endif
#define OWNERS ((alive[0] && owns[0]) + (alive[1] && owns[1]) + (alive[2] && owns[2]) + (alive[3] && owns[3]) OWNERS5)
bit running[NS];			/* slots: RUNNING(this place), otherwise QUEUED */
byte real[NS] = NOBODY;			/* ghost: who runs it */

/* Inherited workers are known by what the place says only. */
#ifdef M_IDAPART
#define INHERITED_DEAD (!alive[start])
#else
#define INHERITED_DEAD (!alive[who] || (start != NOBODY && start != who))
#endif

proctype worker(byte me; byte i)
{
	byte s;
	bit own;
	{
#ifdef M_IDAPART
		start = me;			/* pid and start time */
#endif
		d_step {
			if
#ifdef M_UPNOINC
			:: st == STARTING -> st = UP; who = me; own = 1; owns[me] = 1
#else
			:: st == STARTING && inc == i -> st = UP; who = me; own = 1; owns[me] = 1
#endif
			:: else
			fi
		};
		if
		:: !own -> goto exit
		:: own
		fi;
#ifndef M_IDAPART
		start = me;
#endif
		assert(OWNERS <= 1);
		do
		:: atomic { !running[0] -> s = 0; running[0] = 1; real[0] = me };	/* W2 */
		   d_step { assert(running[s] && real[s] == me); running[s] = 0; real[s] = NOBODY; s = 0 }	/* W6 */
		:: atomic { !running[1] -> s = 1; running[1] = 1; real[1] = me };
		   d_step { assert(running[s] && real[s] == me); running[s] = 0; real[s] = NOBODY; s = 0 }
		:: calm -> break
		od;
		false;
exit:		alive[me] = 0
	} unless { d_step { !alive[me] -> owns[me] = 0; own = 0; s = 0 } }
}

/* M_TWOSUP lets a stopped supervisor live on beside its successor. */
proctype supervisor()
{
	byte mine = NOBODY, s, k;
begin:
	{
		do
		/* A new incarnation is written before the fork; the fork's pid is known to this process alone. */
#ifdef M_NOCLEAR
		:: st == EMPTY && forks < MAXF && !calm ->
#else
		:: atomic { st == EMPTY && forks < MAXF && !calm -> start = NOBODY };
#endif
		   d_step { st == EMPTY && forks < MAXF -> st = STARTING; inc++ };
		   atomic { forks < MAXF -> alive[forks] = 1; mine = forks; run worker(forks, inc); forks++ }
		:: d_step { st == STARTING && mine != NOBODY && !alive[mine] -> st = DEAD; mine = NOBODY }
		/* One's own child is watched by one's own pidfd, an inherited one by pid and start time. */
		/* The successor knows of no child: whoever was forked must find no STARTING any more. */
#ifdef M_STARTINGSTAYS
#else
#ifdef M_STARTINGAGAIN
		:: atomic { st == STARTING && mine == NOBODY && forks < MAXF ->
			alive[forks] = 1; mine = forks; run worker(forks, inc); forks++ }
#else
#ifdef M_STORE
		:: st == STARTING && mine == NOBODY -> st = DEAD	/* looks, then stores */
#else
		:: d_step { st == STARTING && mine == NOBODY -> st = DEAD }
#endif
#endif
#endif
		:: d_step { st == UP && ((mine != NOBODY && !alive[mine]) || (mine == NOBODY && INHERITED_DEAD)) -> st = DEAD; who = NOBODY; mine = NOBODY }
#ifdef M_TIMEOUT
		:: d_step { st == UP && forks < MAXF -> st = DEAD; who = NOBODY; mine = NOBODY }
#endif
		:: st == DEAD -> goto reap
		od;
reap:
#ifdef M_REUSEEARLY
		st = EMPTY;
		d_step { st == EMPTY && forks < MAXF -> st = STARTING; inc++ };
		atomic { alive[forks] = 1; mine = forks; run worker(forks, inc); forks++ };
#endif
		do
		:: d_step { s < NS -> running[s] = 0; real[s] = NOBODY; s++ }	/* D: requeued or lost */
		:: s >= NS -> s = 0; break
		od;
#ifndef M_REUSEEARLY
		atomic { if :: st == DEAD -> st = EMPTY :: else fi };
#endif
		goto begin
	} unless { atomic { sdie && spid == _pid -> sdie = 0; mine = NOBODY; s = 0; goto begin } }
}

active proctype main()
{
	byte i;

	atomic { spid = run supervisor() };
	do
	:: d_step { kw < KW && alive[0] -> kw++; alive[0] = 0 }
	:: d_step { kw < KW && alive[1] -> kw++; alive[1] = 0 }
	:: d_step { kw < KW && alive[2] -> kw++; alive[2] = 0 }
#if MAXF > 4
	:: d_step { kw < KW && alive[4] -> kw++; alive[4] = 0 }
#endif
#if MAXF > 3
	:: d_step { kw < KW && alive[3] -> kw++; alive[3] = 0 }
#endif
#ifdef M_TWOSUP
	:: atomic { ks < KS -> ks++; run supervisor() }
#else
	:: d_step { ks < KS && !sdie -> ks++; sdie = 1 }
#endif
	:: atomic { calm = 1 }; break
	od;

	timeout ->
	d_step {
		/* The place is in use, or ready to be used. */
		assert(st == UP || st == EMPTY || (st == STARTING && forks == MAXF));
		assert(st != UP || (who != NOBODY && alive[who] && OWNERS == 1));
		assert(st == UP || OWNERS == 0);
		assert(st != EMPTY || (!running[0] && !running[1]))
	}
}

#else	/* LEASES */

#ifndef NC
#define NC 2
#endif
#ifndef NP
#define NP 2
#endif
#ifndef KC
#define KC 1
#endif
#define NOBODY NC
/* Each start of a client is another process with another nonce; here process c has nonce c, and a dead
 * one never comes back. */
byte st[NP];				/* EMPTY, UP or DEAD: draining */
byte who[NP] = NOBODY;			/* pid, start time and nonce, written by the supervisor before UP */
bit alive[NC+1];				/* the last: nobody */
bit hello[NC];				/* a request stands in the socket */
bit lost[NC];				/* the connection was cut: the supervisor died */
byte answer[NC];			/* place + 1, or NP + 1: none is free */
byte holds[NC];				/* what the client knows it has, place + 1 */
bit linked[NC];				/* the supervisor of today has a connection to it */
byte kc, ks;
bit calm, sdie;

proctype client(byte c)
{
again:	{
		atomic { hello[c] = 1; lost[c] = 0; answer[c] = 0 };
		if
		:: d_step { answer[c] != 0 && answer[c] <= NP ->
			assert(holds[c] == 0 || holds[c] == answer[c]);		/* a repeated nonce: the same place */
			assert(who[answer[c] - 1] == c && st[answer[c] - 1] == UP);
			holds[c] = answer[c]; answer[c] = 0 }
		:: atomic { answer[c] == NP + 1 -> answer[c] = 0 };
			if :: !calm -> goto again :: calm -> goto wait fi
		:: lost[c] -> goto again
		fi;
wait:		if
		:: lost[c] -> goto again
		:: false
		fi
	} unless { d_step { !alive[c] -> hello[c] = 0; holds[c] = 0; answer[c] = 0 } }
}

proctype supervisor()
{
	byte c, p, f;
begin:
	{
		do
		:: atomic { hello[0] -> c = 0 }; goto greet
#if NC > 1
		:: atomic { hello[1] -> c = 1 }; goto greet
#endif
#if NC > 2
		:: atomic { hello[2] -> c = 2 }; goto greet
#endif
		/* The death of an owner, whoever leased to it: by pidfd. */
#ifdef M_HANGUP
#define SEEN(p) linked[who[p]]
#else
#define SEEN(p) true
#endif
		:: atomic { st[0] == UP && !alive[who[0]] && SEEN(0) -> st[0] = DEAD }
		:: atomic { st[0] == DEAD -> assert(!alive[who[0]]); st[0] = EMPTY }	/* drained */
#if NP > 1
		:: atomic { st[1] == UP && !alive[who[1]] && SEEN(1) -> st[1] = DEAD }
		:: atomic { st[1] == DEAD -> assert(!alive[who[1]]); st[1] = EMPTY }
#endif
		od;
greet:
		atomic { hello[c] = 0; linked[c] = 1 };			/* read from the socket */
		if
		:: !alive[c] -> c = 0; goto begin			/* pidfd open, start time equal, not readable */
		:: else
		fi;
#ifndef M_NONONCE
		atomic {
			p = 0;
			do
			:: p < NP && st[p] == UP && who[p] == c -> break
			:: p < NP && !(st[p] == UP && who[p] == c) -> p++
			:: p >= NP -> break
			od
		};
		if
		:: p < NP -> goto reply
		:: else
		fi;
#endif
		atomic {
			p = 0;
			do
			:: p < NP && st[p] == EMPTY -> break
			:: p < NP && st[p] != EMPTY -> p++
			:: p >= NP -> break
			od
		};
		if
		:: p >= NP -> goto reply
		:: else
		fi;
#ifdef M_STATEFIRST
		d_step { st[p] = UP };
		who[p] = c;
#else
		who[p] = c;
#ifdef M_ANSWERFIRST
		d_step { if :: !lost[c] && alive[c] -> answer[c] = p + 1 :: else fi };
#endif
		d_step { st[p] = UP };
#endif
reply:
		atomic { if :: !lost[c] && alive[c] -> answer[c] = p + 1 :: else fi };
		d_step { c = 0; p = 0 };
		goto begin
	} unless { atomic { sdie ->
		/* The death cuts every connection and forgets what stood in the sockets. */
		sdie = 0; c = 0; p = 0;
		do
		:: p < NC -> hello[p] = 0; lost[p] = 1; linked[p] = 0; answer[p] = 0; p++
		:: else -> p = 0; break
		od;
		goto begin } }
}

active proctype main()
{
	byte i, n;

	atomic {
		do :: i < NC -> alive[i] = 1; run client(i); i++ :: else -> break od;
		i = 0;
		run supervisor()
	};
	do
	:: d_step { kc < KC && alive[0] -> kc++; alive[0] = 0 }
#if NC > 1
	:: d_step { kc < KC && alive[1] -> kc++; alive[1] = 0 }
#endif
#if NC > 2
	:: d_step { kc < KC && alive[2] -> kc++; alive[2] = 0 }
#endif
	:: d_step { ks < KS && !sdie -> ks++; sdie = 1 }
	:: atomic { calm = 1 }; break
	od;

	timeout ->
	d_step {
		/* Each living client holds the one place that says so, and no place is lost. */
		i = 0;
		do
		:: i < NP ->
			assert(st[i] == EMPTY || (st[i] == UP && who[i] != NOBODY && alive[who[i]] && holds[who[i]] == i + 1));
			if :: st[i] == UP -> n++ :: else fi;
			i++
		:: else -> break
		od
	}
}
#endif
