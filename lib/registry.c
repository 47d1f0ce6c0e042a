/*
 * registry.c - the pools that this process is attached to by channels: one client each,
 * shared by all threads.
 *
 * Looked through on every open: a list under liburcu's read-side lock, in which no entry is
 * freed while anybody may look at it. A found entry is held by counting its copies up from
 * more than zero; the last copy takes it off the list, waits until nobody looks at it any
 * more, and detaches. Attaching takes milliseconds, so that it is done outside of the lock,
 * by the thread that came first; the others wait for it. Everything here is private to the
 * process; a forked child begins with an empty registry, and can only free what it copied.
 */
#include "channel.h"
#include "client.h"
#include "diag.h"

#include <stdlib.h>
#include <string.h>
#include <urcu-bp.h>

struct entry {
	struct entry *_Atomic next; /* in one of the lists */
	char pool[CADRE_NAME_MAX + 1];
	int64_t created_ns;
	struct cadre_client *client;
	_Atomic uint32_t copies; /* 0: it is being taken off */
};

/* Attached, for readers under RCU; changed with the lock. */
static struct entry *_Atomic open_entries;

/* With the lock: being attached; and what a fork left us copies of. */
static struct entry *_Atomic coming_entries;
static struct entry *_Atomic inherited_entries;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_come = PTHREAD_COND_INITIALIZER;

/* ThreadSanitizer does not see into liburcu: it is told that readers come before those who
 * waited for them. */
#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
/* An address of its own: a store to the list would wipe out what readers have said there. */
static char readers;
#define READERS_LEAVE() __tsan_release(&readers)
#define READERS_LEFT() __tsan_acquire(&readers)
#else
#define READERS_LEAVE() ((void)0)
#define READERS_LEFT() ((void)0)
#endif

/* ---- lists ---- */

static struct entry *follow(struct entry *_Atomic *link)
{
	/* G1: acquire, pairs with G2: an entry is seen whole. */
	return atomic_load_explicit(link, memory_order_acquire);
}

/* With the lock, as the next. */
static void insert(struct entry *_Atomic *list, struct entry *entry)
{
	atomic_store_explicit(&entry->next, follow(list), memory_order_relaxed);
	/* G2: release, pairs with G1. */
	atomic_store_explicit(list, entry, memory_order_release);
}

/* Who stands at it goes on from there: its own link stays. */
static bool take_off(struct entry *_Atomic *list, const struct entry *entry)
{
	struct entry *_Atomic *link = list;
	struct entry *at;

	for (; (at = follow(link)); link = &at->next) {
		if (at != entry)
			continue;
		/* G2 as well: the entry behind it was whole for us. */
		atomic_store_explicit(link, follow(&at->next), memory_order_release);
		return true;
	}
	return false;
}

/* ---- forks: the child's registry is empty, whatever its parent was about to do ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
	urcu_bp_before_fork();
}

static void after_fork_parent(void)
{
	urcu_bp_after_fork_parent();
	pthread_mutex_unlock(&lock);
}

/* Copies of the parent's clients may be in somebody's hands: they stay until they are
 * closed. Who was being attached has no thread here that would go on. */
static void after_fork_child(void)
{
	const pthread_cond_t fresh = PTHREAD_COND_INITIALIZER;
	struct entry *entry;

	urcu_bp_after_fork_child();
	while ((entry = follow(&open_entries))) {
		take_off(&open_entries, entry);
		insert(&inherited_entries, entry);
	}
	atomic_store_explicit(&coming_entries, NULL, memory_order_relaxed);
	has_come = fresh;
	pthread_mutex_unlock(&lock);
}

static void mind_forks(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/* ---- finding ---- */

static bool is_of(const struct entry *entry, const struct cadre_channel *channel)
{
	return entry->created_ns == channel->created_ns &&
	       strcmp(entry->pool, channel->pool) == 0;
}

/* One more copy, unless the last is being closed. */
static bool hold(struct entry *entry)
{
	uint32_t copies = atomic_load_explicit(&entry->copies, memory_order_relaxed);

	do {
		if (copies == 0)
			return false;
		/* Relaxed: RCU keeps the entry and shows it whole. */
	} while (!atomic_compare_exchange_weak_explicit(&entry->copies, &copies,
							copies + 1, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

/* The fast path: no lock, no system call. */
static struct cadre_client *find_open(const struct cadre_channel *channel)
{
	struct cadre_client *client = NULL;

	urcu_bp_read_lock();
	for (struct entry *entry = follow(&open_entries); entry;
	     entry = follow(&entry->next)) {
		if (is_of(entry, channel) && hold(entry)) {
			client = entry->client;
			break;
		}
	}
	READERS_LEAVE();
	urcu_bp_read_unlock();
	return client;
}

/* With the lock. */
static bool is_coming(const struct cadre_channel *channel)
{
	for (struct entry *entry = follow(&coming_entries); entry;
	     entry = follow(&entry->next)) {
		if (is_of(entry, channel))
			return true;
	}
	return false;
}

/* ---- attaching ---- */

static int attach(struct entry *entry, struct cadre_diag *diag)
{
	const int r = cadre_client_attach(entry->pool, NULL, &entry->client, diag);

	if (r == -ENOENT)
		return cadre_refuse(diag, -EHOSTDOWN,
				    "pool \"%s\", to which this channel leads, has ended",
				    entry->pool);
	if (r < 0)
		return r;
	if (entry->client->created_ns == entry->created_ns)
		return 0;
	cadre_client_detach(entry->client);
	return cadre_refuse(diag, -EHOSTDOWN,
			    "pool \"%s\", to which this channel leads, has ended; another one "
			    "has its name",
			    entry->pool);
}

/* With the lock, which is let go while it attaches. */
static int come(const struct cadre_channel *channel, struct cadre_client **ret_client,
		struct cadre_diag *diag)
{
	struct entry *const entry = calloc(1, sizeof(*entry));
	int r;

	if (!entry)
		return cadre_refuse(diag, -ENOMEM, "out of memory");
	memcpy(entry->pool, channel->pool, sizeof(entry->pool));
	entry->created_ns = channel->created_ns;
	atomic_init(&entry->copies, 1);
	insert(&coming_entries, entry);
	pthread_mutex_unlock(&lock);
	r = attach(entry, diag);
	pthread_mutex_lock(&lock);
	/* A fork meanwhile has forgotten it, in the child. */
	take_off(&coming_entries, entry);
	if (r == 0) {
		*ret_client = entry->client;
		insert(&open_entries, entry);
	} else {
		free(entry);
	}
	pthread_cond_broadcast(&has_come);
	return r;
}

int cadre_channel_open(const struct cadre_channel *channel,
		       struct cadre_client **ret_client, struct cadre_diag *diag)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct cadre_channel copy;
	struct cadre_client *client;
	int r;

	/* It may lie in a payload, where another process can still write. */
	memcpy(&copy, channel, sizeof(copy));
	r = cadre_channel_check(&copy, diag);
	if (r < 0)
		return r;
	pthread_once(&once, mind_forks);
	client = find_open(&copy);
	if (client) {
		*ret_client = client;
		return 0;
	}
	pthread_mutex_lock(&lock);
	while (is_coming(&copy))
		pthread_cond_wait(&has_come, &lock);
	/* Somebody may have opened it meanwhile, or another thread is the first. */
	client = find_open(&copy);
	r = client ? 0 : come(&copy, &client, diag);
	pthread_mutex_unlock(&lock);
	if (r == 0)
		*ret_client = client;
	return r;
}

/* ---- closing ---- */

/* With the lock. */
static struct entry *find_client(struct entry *_Atomic *list,
				 const struct cadre_client *client)
{
	struct entry *entry = follow(list);

	while (entry && entry->client != client)
		entry = follow(&entry->next);
	return entry;
}

/* One copy less. With the lock; true when it was the last, and is on no list any more. */
static bool let_go(struct entry *_Atomic *list, struct entry *entry)
{
	/* Relaxed: who lets go has the lock, so what others did with their copies is done. */
	return atomic_fetch_sub_explicit(&entry->copies, 1, memory_order_relaxed) == 1 &&
	       take_off(list, entry);
}

void cadre_channel_close(struct cadre_client *client)
{
	struct entry *_Atomic *list = &open_entries;
	struct entry *entry;
	bool last;

	if (!client)
		return;
	pthread_mutex_lock(&lock);
	entry = find_client(list, client);
	if (!entry) {
		list = &inherited_entries;
		entry = find_client(list, client);
	}
	last = entry && let_go(list, entry);
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	/* Who found it before it was taken off saw no copy of it, and has looked away then. */
	urcu_bp_synchronize_rcu();
	READERS_LEFT();
	cadre_client_detach(client);
	free(entry);
}
