/*
 * aimed.pml - a job aimed at one worker: publish and tell, sleep and look, leave, die, reap.
 *
 * As in window.pml one statement or atomic block is one access to shared memory; SIGKILL may
 * fall between any two of the worker's. The job may be found along its hint (the bit in the
 * worker's aims) or by a full look. Sleeps are unbounded and there is no tick.
 *
 *	NJ jobs, one after the other; KW kills of the worker; ND times that it is sent away
 */
#ifndef NJ
#define NJ 2
#endif
#ifndef KW
#define KW 0
#endif
#ifndef ND
#define ND 0
#endif

#define FREE 0
#define QUEUED 1
#define RUNNING 2
#define DONE 3

#define OK 1
#define LOST 2
#define WITHDRAWN 3

#define UP 0
#define DRAINING 1
#define DEAD 2
#define VACANT 3

byte ph, oc, place, kw = KW, nd = ND, jobs = NJ;
bit aim, slp, bell, asl, alive = 1, gone, finished;

#define DIE if :: atomic { kw > 0 -> kw--; alive = 0; asl = 0; goto dead } :: skip fi

inline wake()
{
	atomic { bell = 1; asl = 0 }
}

proctype worker()
{
	bit seen;
begin:
	DIE;
	if :: place != UP -> goto leave :: else fi;
	/* Along the hint. */
	if
	:: aim -> atomic { if :: ph == QUEUED -> ph = RUNNING; goto serve :: else fi }
	:: skip
	fi;
	bell = 0;
	DIE;
	aim = 0;				/* A2 */
	DIE;
#ifdef M_LOOKFIRST
	atomic { if :: ph == QUEUED -> ph = RUNNING; goto serve :: else fi };
	slp = 1;
#else
	slp = 1;				/* K1 */
	DIE;
#ifndef M_NOLOOK
	atomic { if :: ph == QUEUED -> ph = RUNNING; goto serve :: else fi };
#endif
#endif
	if :: place != UP -> goto leave :: else fi;
	d_step { if :: !bell -> asl = 1 :: else fi };
ends:	!asl;
	DIE;
	slp = 0;
	/* After a wake, through everything. */
	atomic { if :: ph == QUEUED -> ph = RUNNING; goto serve :: else fi };
	goto begin;
serve:
	DIE;
	atomic { assert(ph == RUNNING); ph = DONE; oc = OK };
	slp = 0;
	goto begin;
leave:
	DIE;
#ifndef M_NOLASTLOOK
	atomic { if :: ph == QUEUED -> ph = RUNNING; goto serve :: else fi };
#endif
	slp = 0;
	alive = 0;
dead:
	gone = 1
}

proctype client()
{
	bit there, s;
next:
	if
	:: jobs == 0 -> goto over
	:: else -> jobs--
	fi;
	if :: place != UP -> goto over :: else fi;
#ifdef M_NOFENCE
	s = slp;				/* the look passes the store */
	ph = QUEUED;
#else
	ph = QUEUED;				/* S3, F2 */
#endif
	if :: !aim -> aim = 1 :: else fi;	/* A1 */
#ifdef M_NOFENCE
	if :: s -> wake() :: else fi;
#else
	if :: slp -> wake() :: else fi;
#endif
	there = 0;
#ifndef M_NOREREAD
	if
	:: place != UP -> atomic { if :: ph == QUEUED -> ph = DONE; oc = WITHDRAWN :: else fi }
	:: else -> there = 1
	fi;
#endif
endw:	ph == DONE;
	/* Who leaves runs what was published before, unless it is killed. */
	assert(!there || oc == OK || kw < KW);
	atomic { ph = FREE; oc = 0 };
	goto next;
over:
	finished = 1
}

proctype supervisor()
{
	do
	:: atomic { nd > 0 && place == UP && alive -> nd--; place = DRAINING }; wake()
	:: gone && place != VACANT ->
#ifdef M_SCANFIRST
		atomic { if :: ph == QUEUED || ph == RUNNING -> ph = DONE; oc = LOST :: else fi };
		place = DEAD;
#else
		place = DEAD;			/* D, F5 */
		atomic { if :: ph == QUEUED || ph == RUNNING -> ph = DONE; oc = LOST :: else fi };
#endif
		slp = 0; aim = 0;
		place = VACANT
	:: timeout -> break
	od;
	assert(finished);
	assert(ph == FREE)
}

init
{
	atomic { run worker(); run client(); run supervisor() }
}
