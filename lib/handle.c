/*
 * handle.c - tokens as their users hold them: making, opening, ending, listening.
 *
 * A handle is private memory: the token's id, whether it is ours to release, and who listens.
 * Listeners are called by dispatch, by whoever cancels, or at once; which of them it is, is
 * decided under the client's token_lock by taking the listener out of its list.
 */
#include "client.h"
#include "clock.h"

#include <stdlib.h>
#include <string.h>

/* A collection looks through all jobs; so many releases share one. */
#define RELEASES_PER_COLLECTION 64

struct listener {
	cadre_token_fn *ended;
	void *context;
	struct listener *next;
};

struct cadre_token {
	struct cadre_client *client;
	uint64_t id;
	bool owned;
	/* Under the client's token_lock. */
	struct listener *listeners;
	unsigned calls; /* listeners that are being called, and by whom */
	pthread_t caller;
	struct cadre_token *next;
	struct cadre_token **previous;
};

static const struct cadre_token_table *table_of(const struct cadre_client *client)
{
	return &client->view.tokens;
}

uint64_t cadre_handle_id(const struct cadre_token *token)
{
	return token->id;
}

static struct cadre_token_view look_now(const struct cadre_token *token)
{
	return cadre_notice_look(&token->client->view, token->id, cadre_clock_ns());
}

static bool is_of_same_pool(const struct cadre_token *token,
			    const struct cadre_client *client)
{
	const struct cadre_token_name name = cadre_view_token_name(&token->client->view,
								   token->id);

	return token->client == client || cadre_view_token_of(&client->view, &name);
}

/* ---- making ---- */

static int enlist(struct cadre_client *client, uint64_t id, bool owned,
		  struct cadre_token **ret_token)
{
	struct cadre_token *const token = calloc(1, sizeof(*token));

	if (!token)
		return -ENOMEM;
	token->client = client;
	token->id = id;
	token->owned = owned;
	pthread_mutex_lock(&client->token_lock);
	token->next = client->tokens;
	token->previous = &client->tokens;
	if (token->next)
		token->next->previous = &token->next;
	client->tokens = token;
	pthread_mutex_unlock(&client->token_lock);
	*ret_token = token;
	return 0;
}

/* Slots whose jobs nobody asks for any more keep a token as long as they are not free. */
static void collect(struct cadre_client *client)
{
	cadre_client_reclaim_all(client);
	cadre_notice_collect(&client->view);
}

static int make(struct cadre_client *client, const struct cadre_token_plan *plan,
		struct cadre_token **ret_token)
{
	uint64_t id;
	int r = cadre_client_enter(client);

	if (r == 0 && atomic_load_explicit(&client->dead, memory_order_relaxed))
		r = -EOWNERDEAD;
	if (r < 0)
		return r;
	id = cadre_token_make(table_of(client), client->window, plan);
	if (id == 0) {
		collect(client);
		id = cadre_token_make(table_of(client), client->window, plan);
	}
	if (id == 0)
		return -EMFILE;
	r = enlist(client, id, true, ret_token);
	if (r < 0)
		cadre_token_let_go(table_of(client), id);
	return r;
}

int cadre_token_create(struct cadre_client *client, const char *message,
		       struct cadre_token **ret_token)
{
	const struct cadre_token_plan plan = { .kind = CADRE_TOKEN_CANCELLABLE,
					       .message = message };

	return make(client, &plan, ret_token);
}

int cadre_token_create_timeout(struct cadre_client *client, int64_t duration_ns,
			       const char *message, struct cadre_token **ret_token)
{
	const struct cadre_token_plan plan = { .kind = CADRE_TOKEN_TIMEOUT,
					       .duration_ns = duration_ns,
					       .message = message };

	return duration_ns < 0 ? -EINVAL : make(client, &plan, ret_token);
}

/* ---- composites ---- */

static int plan_composite(const struct cadre_client *client,
			  struct cadre_token *const *members, size_t count,
			  struct cadre_token_plan *plan)
{
	if (count == 0 || !members)
		return -EINVAL;
	if (count > CADRE_TOKEN_MEMBERS_MAX)
		return -EMLINK;
	for (size_t i = 0; i < count; i++) {
		struct cadre_token_view member;

		if (!members[i])
			return -EINVAL;
		if (!is_of_same_pool(members[i], client))
			return -EXDEV;
		member = look_now(members[i]);
		if (member.phase == CADRE_TOKEN_VACANT || member.released)
			return -ESTALE;
		if (member.depth >= CADRE_TOKEN_NESTING_MAX)
			return -ELOOP;
		if (member.depth >= plan->depth)
			plan->depth = member.depth + 1;
		plan->members[i] = members[i]->id;
	}
	plan->member_count = (unsigned)count;
	return 0;
}

/* Behind the step that made the composite: were all members there still? */
static bool has_members(const struct cadre_token *composite,
			const struct cadre_token_plan *plan)
{
	const int64_t now_ns = cadre_clock_ns();

	/* O3, pairs with O5: who collects sees that they are named, or we see that they were
	 * released. */
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < plan->member_count; i++) {
		const struct cadre_token_view member = cadre_token_view(
			table_of(composite->client), plan->members[i], now_ns);

		if (member.phase == CADRE_TOKEN_VACANT || member.released)
			return false;
	}
	return true;
}

static int compose(struct cadre_client *client, enum cadre_token_kind kind,
		   struct cadre_token *const *members, size_t count, const char *message,
		   struct cadre_token **ret_token)
{
	struct cadre_token_plan plan = { .kind = kind, .message = message };
	struct cadre_token *composite;
	int r = cadre_client_enter(client);

	if (r == 0)
		r = plan_composite(client, members, count, &plan);
	if (r == 0)
		r = make(client, &plan, &composite);
	if (r != 0)
		return r;
	if (!has_members(composite, &plan)) {
		cadre_token_release(composite);
		return -ESTALE;
	}
	/* Members that have ended count at once. */
	look_now(composite);
	*ret_token = composite;
	return 0;
}

int cadre_token_create_any(struct cadre_client *client,
			   struct cadre_token *const *members, size_t count,
			   const char *message, struct cadre_token **ret_token)
{
	return compose(client, CADRE_TOKEN_ANY, members, count, message, ret_token);
}

int cadre_token_create_all(struct cadre_client *client,
			   struct cadre_token *const *members, size_t count,
			   const char *message, struct cadre_token **ret_token)
{
	return compose(client, CADRE_TOKEN_ALL, members, count, message, ret_token);
}

/* ---- names ---- */

void cadre_token_name(const struct cadre_token *token, struct cadre_token_name *ret_name)
{
	*ret_name = cadre_view_token_name(&token->client->view, token->id);
}

int cadre_token_open(struct cadre_client *client, const struct cadre_token_name *name,
		     struct cadre_token **ret_token)
{
	struct cadre_token_view seen;
	uint64_t id;
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	id = cadre_view_token_of(&client->view, name);
	if (id == 0)
		return -EXDEV;
	seen = cadre_notice_look(&client->view, id, cadre_clock_ns());
	if (seen.phase == CADRE_TOKEN_VACANT || seen.released)
		return -ESTALE;
	return enlist(client, id, false, ret_token);
}

/* ---- jobs ---- */

int cadre_handle_check(const struct cadre_client *client, struct cadre_token *token)
{
	struct cadre_token_view seen;

	if (!is_of_same_pool(token, client))
		return -EXDEV;
	seen = look_now(token);
	if (seen.phase == CADRE_TOKEN_VACANT || seen.released)
		return -ESTALE;
	return cadre_token_has_ended(seen.phase) ? -ECANCELED : 0;
}

void cadre_handle_look_again(struct cadre_client *client, uint32_t index,
			     uint64_t generation, uint64_t token)
{
	struct cadre_token_view seen;

	/* O3, pairs with O4 and O5: who ended or collected the token has seen this job, or we see
	 * what he did. */
	atomic_thread_fence(memory_order_seq_cst);
	seen = cadre_token_view(table_of(client), token, cadre_clock_ns());
	if (seen.phase != CADRE_TOKEN_LIVE || seen.released)
		cadre_client_decide(client, index, generation,
				    cadre_token_outcome(seen.phase));
}

/* ---- ending and looking ---- */

static int fill_status(const struct cadre_token *token, struct cadre_token_view seen,
		       struct cadre_token_status *status)
{
	*status = (struct cadre_token_status){
		.kind = seen.kind,
		.ended = cadre_token_has_ended(seen.phase),
		.outcome = CADRE_CANCELLED,
		.due_ns = seen.due_ns,
	};
	if (status->ended)
		status->outcome = cadre_token_outcome(seen.phase);
	cadre_token_say(table_of(token->client), token->id, status->message,
			sizeof(status->message));
	return seen.phase == CADRE_TOKEN_VACANT || seen.released ? -ESTALE : 0;
}

int cadre_token_look(struct cadre_token *token, struct cadre_token_status *ret_status)
{
	struct cadre_token_status status;
	int r = cadre_client_enter(token->client);

	if (r == 0)
		r = fill_status(token, look_now(token), &status);
	if (r == 0)
		*ret_status = status;
	return r;
}

int cadre_token_cancel(struct cadre_token *token)
{
	struct cadre_client *const client = token->client;
	struct cadre_token_view seen;
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	seen = look_now(token);
	if (seen.phase == CADRE_TOKEN_VACANT || seen.released)
		return -ESTALE;
	if (seen.kind != CADRE_TOKEN_CANCELLABLE)
		return -EPERM;
	cadre_token_end(table_of(client), token->id);
	/* Also when somebody else ended it: he may have died in the midst of this. */
	cadre_notice_spread(&client->view, cadre_clock_ns());
	cadre_handle_dispatch(client, 0);
	return 0;
}

/* ---- listeners ---- */

/* Whether its listeners are to be called, and with what. */
static bool is_news(const struct cadre_token *token, struct cadre_token_view seen)
{
	return seen.phase != CADRE_TOKEN_LIVE || (seen.released && !token->owned) ||
	       atomic_load_explicit(&token->client->dead, memory_order_relaxed);
}

/* The listener is out of its list, and the lock is held; it is let go meanwhile. */
static void call(struct cadre_token *token, struct listener *listener)
{
	struct cadre_client *const client = token->client;
	struct cadre_token_status status;

	token->calls++;
	token->caller = pthread_self();
	pthread_mutex_unlock(&client->token_lock);
	fill_status(token, look_now(token), &status);
	listener->ended(token, &status, listener->context);
	free(listener);
	/* Relaxed: counts. */
	atomic_fetch_sub_explicit(&client->listeners, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&client->callbacks, 1, memory_order_relaxed);
	pthread_mutex_lock(&client->token_lock);
	token->calls--;
	pthread_cond_broadcast(&client->token_called);
}

/* The first token with news, with the lock held. */
static struct cadre_token *find_news(struct cadre_client *client)
{
	struct cadre_token *token = client->tokens;

	while (token && !(token->listeners && is_news(token, look_now(token))))
		token = token->next;
	return token;
}

size_t cadre_handle_dispatch(struct cadre_client *client, size_t most)
{
	struct cadre_token *token;
	size_t called = 0;

	if (atomic_load_explicit(&client->listeners, memory_order_relaxed) == 0)
		return 0;
	pthread_mutex_lock(&client->token_lock);
	while ((most == 0 || called < most) && (token = find_news(client)) != NULL) {
		struct listener *const listener = token->listeners;

		token->listeners = listener->next;
		call(token, listener);
		called++;
	}
	pthread_mutex_unlock(&client->token_lock);
	return called;
}

bool cadre_handle_has_news(struct cadre_client *client, int64_t now_ns, int64_t *due_ns)
{
	bool news = false;

	if (atomic_load_explicit(&client->listeners, memory_order_relaxed) == 0)
		return false;
	pthread_mutex_lock(&client->token_lock);
	for (struct cadre_token *token = client->tokens; token && !news;
	     token = token->next) {
		struct cadre_token_view seen;

		if (!token->listeners)
			continue;
		seen = cadre_notice_look(&client->view, token->id, now_ns);
		news = is_news(token, seen);
		if (seen.due_ns < *due_ns)
			*due_ns = seen.due_ns;
	}
	pthread_mutex_unlock(&client->token_lock);
	return news;
}

/* The last in the list: first come, first called. */
static void add_listener(struct cadre_token *token, struct listener *listener)
{
	struct listener **at = &token->listeners;

	while (*at)
		at = &(*at)->next;
	*at = listener;
}

int cadre_token_listen(struct cadre_token *token, cadre_token_fn *ended, void *context)
{
	struct cadre_client *const client = token->client;
	struct listener *listener;
	int r = cadre_client_enter(client);

	if (r < 0)
		return r;
	if (!ended)
		return -EINVAL;
	listener = malloc(sizeof(*listener));
	if (!listener)
		return -ENOMEM;
	*listener = (struct listener){ .ended = ended, .context = context };
	pthread_mutex_lock(&client->token_lock);
	/* Relaxed: counts. */
	atomic_fetch_add_explicit(&client->callbacks, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&client->listeners, 1, memory_order_relaxed);
	cadre_bell_listen(client->bell, true); /* N2: before the look that follows */
	if (is_news(token, look_now(token)))
		call(token, listener);
	else
		add_listener(token, listener);
	pthread_mutex_unlock(&client->token_lock);
	/* Whoever sleeps for callbacks has another to wait for, and perhaps sooner. */
	cadre_bell_ring(client->bell, CADRE_BELL_EVERYONE, INT32_MAX);
	return 0;
}

/* ---- release ---- */

/* With the lock held. */
static void drop_listeners(struct cadre_token *token)
{
	struct cadre_client *const client = token->client;
	struct listener *listener;

	while ((listener = token->listeners) != NULL) {
		token->listeners = listener->next;
		atomic_fetch_sub_explicit(&client->listeners, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(&client->callbacks, 1, memory_order_relaxed);
		free(listener);
	}
	while (token->calls > 0 && !pthread_equal(token->caller, pthread_self()))
		pthread_cond_wait(&client->token_called, &client->token_lock);
}

/* The owner has let go: tells those who listen, and now and then gives places back. */
static void let_go(struct cadre_client *client, uint64_t id)
{
	bool is_turn;

	if (!cadre_token_let_go(table_of(client), id))
		return;
	/* N1: the word says so before anybody is asked whether he listens. */
	atomic_thread_fence(memory_order_seq_cst);
	cadre_notice_ring_listeners(&client->view);
	pthread_mutex_lock(&client->token_lock);
	is_turn = ++client->releases % RELEASES_PER_COLLECTION == 0;
	pthread_mutex_unlock(&client->token_lock);
	if (is_turn)
		collect(client);
}

void cadre_token_release(struct cadre_token *token)
{
	struct cadre_client *client;

	if (!token)
		return;
	client = token->client;
	if (cadre_client_enter(client) < 0)
		return; /* freed with the copy of the client */
	pthread_mutex_lock(&client->token_lock);
	drop_listeners(token);
	*token->previous = token->next;
	if (token->next)
		token->next->previous = token->previous;
	pthread_mutex_unlock(&client->token_lock);
	if (token->owned)
		let_go(client, token->id);
	free(token);
}

/* ---- a client's life ---- */

int cadre_handle_init(struct cadre_client *client)
{
	int r = -pthread_mutex_init(&client->token_lock, NULL);

	return r < 0 ? r : -pthread_cond_init(&client->token_called, NULL);
}

/* No other thread is inside. In a forked child nothing but memory is ours. */
void cadre_handle_fini(struct cadre_client *client)
{
	const bool is_child = cadre_client_enter(client) < 0;
	struct cadre_token *token;

	while ((token = client->tokens) != NULL) {
		struct listener *listener;

		client->tokens = token->next;
		while ((listener = token->listeners) != NULL) {
			token->listeners = listener->next;
			free(listener);
		}
		if (!is_child && token->owned)
			cadre_token_let_go(table_of(client), token->id);
		free(token);
	}
	if (!is_child)
		cadre_bell_listen(client->bell, false);
	pthread_mutex_destroy(&client->token_lock);
	pthread_cond_destroy(&client->token_called);
}
