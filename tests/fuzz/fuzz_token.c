/*
 * fuzz_token.c - the table of tokens before a wall, with any bytes in its cells: made, looked
 * at, ended, started, let go of and collected, by their ids or by any number, while jobs in the
 * slots name them. The cells lie at the very end of the segment. A look ends whatever stands in
 * them, and says what a token can be.
 */
#include "fuzz.h"

#include "notice.h"

#include <string.h>

#define CELLS 12u
#define KNOWN 8u
#define CELL_WORDS (sizeof(struct cadre_token_cell) / sizeof(uint64_t))

/* The ids that were handed out last, by turns. */
struct known {
	uint64_t ids[KNOWN];
	unsigned turn;
};

/* One that was handed out, one that a cell claims to have, or any. */
static uint64_t an_id(const struct cadre_token_table *table, const struct known *known,
		      struct fuzz_script *script)
{
	const uint8_t which = fuzz_byte(script);
	const uint32_t index = which % table->count;

	switch (which >> 6) {
	case 0:
	case 1:
		return known->ids[which % KNOWN];
	case 2:
		return cadre_token_id(index, atomic_load(&table->cells[index].word) >> 24);
	default:
		return fuzz_value(script, which);
	}
}

static struct cadre_token_view look(const struct cadre_token_table *table, uint64_t id)
{
	const int64_t now_ns = fuzz_machine.now_ns;
	const struct cadre_token_view view = cadre_token_view(table, id, now_ns);

	FUZZ_CHECK(view.phase == CADRE_TOKEN_VACANT ||
		   (view.phase >= CADRE_TOKEN_LIVE && view.phase <= CADRE_TOKEN_TIMED_OUT));
	FUZZ_CHECK(view.kind <= CADRE_TOKEN_ALL);
	FUZZ_CHECK(view.depth <= CADRE_TOKEN_NESTING_MAX);
	FUZZ_CHECK(view.due_ns > now_ns);
	return view;
}

/* As who makes one does: a composite is deeper than its members. */
static void make(const struct cadre_token_table *table, struct known *known,
		 struct fuzz_script *script)
{
	static const char *const messages[] = { "", "over", "the end of it" };
	const uint8_t how = fuzz_byte(script);
	struct cadre_token_plan plan = {
		.kind = (enum cadre_token_kind)(how & 3),
		.message = how & 0x40 ? messages[how % 3] : NULL,
	};

	if (plan.kind == CADRE_TOKEN_TIMEOUT)
		plan.duration_ns = (int64_t)(fuzz_value(script, how >> 2) & INT64_MAX);
	if (plan.kind >= CADRE_TOKEN_ANY) {
		plan.member_count = 1 + (how >> 2) % CADRE_TOKEN_MEMBERS_MAX;
		for (unsigned i = 0; i < plan.member_count; i++) {
			struct cadre_token_view member;

			plan.members[i] = an_id(table, known, script);
			member = look(table, plan.members[i]);
			if (plan.depth <= member.depth)
				plan.depth = member.depth + 1;
		}
		if (plan.depth > CADRE_TOKEN_NESTING_MAX)
			return;
	}
	known->ids[known->turn++ % KNOWN] = cadre_token_make(table, how >> 7, &plan);
}

/* A word of a cell, or how many cells are worth a look. */
static void poke(const struct cadre_token_table *table, struct known *known,
		 struct fuzz_script *script)
{
	const uint8_t where = fuzz_byte(script), kind = fuzz_byte(script);
	uint64_t *const words = (void *)table->cells;
	const uint64_t value = kind & 0x80 ? an_id(table, known, script) :
					     fuzz_value(script, kind);
	const size_t at = (where & 0x40 ? where % table->count * CELL_WORDS :
					  where * 7u % (table->count * CELL_WORDS));

	if (where == 0xff)
		atomic_store(table->high, (uint32_t)value);
	else if (kind & 0x40)
		memcpy((unsigned char *)&words[at] + (kind >> 3 & 7), &value, 1);
	else
		words[at] = value;
}

static void say(const struct cadre_token_table *table, uint64_t id, uint8_t size)
{
	char text[64];

	memset(text, 'x', sizeof(text));
	cadre_token_say(table, id, text, 1 + size % sizeof(text));
	FUZZ_CHECK(memchr(text, 0, 1 + size % sizeof(text)));
}

/* A job that names a token. */
static void name(const struct cadre_view *view, uint64_t id, uint8_t where)
{
	struct cadre_slot *const slot = &view->slots[where % view->slot_count];
	const struct cadre_word word = { .phase = where & 0x40 ? CADRE_QUEUED :
								 CADRE_RUNNING,
					 .owner = 1,
					 .generation = 1 };

	slot->request.with |= CADRE_WITH_TOKEN;
	atomic_store(&slot->request.token, id);
	atomic_store(&slot->request.word, cadre_word_pack(word));
}

static void notice(const struct cadre_view *view, uint64_t id, uint8_t how)
{
	const int64_t now_ns = fuzz_machine.now_ns;
	const uint32_t slot = how >> 2 & 7;
	int64_t due_ns = INT64_MAX;

	switch (how & 3) {
	case 0:
		cadre_notice_spread(view, now_ns);
		break;
	case 1:
		FUZZ_CHECK(cadre_notice_collect(view) <= view->tokens.count);
		break;
	case 2:
		cadre_notice_start(view, id, now_ns);
		break;
	default:
		cadre_notice_job(view, slot % view->slot_count, 1, id, now_ns, &due_ns);
		FUZZ_CHECK(due_ns > now_ns);
		break;
	}
}

static void change(const struct cadre_token_table *table, uint64_t id, uint8_t how)
{
	struct cadre_token_cell *const cell = cadre_token_cell(table, id);

	switch (how & 7) {
	case 0:
		cadre_token_end(table, id);
		break;
	case 1:
		cadre_token_start(table, id, fuzz_machine.now_ns);
		break;
	case 2:
		cadre_token_let_go(table, id);
		break;
	case 3:
		cadre_token_let_go_of_all(table, how >> 7);
		break;
	case 4:
		cadre_token_settle(table, fuzz_machine.now_ns);
		break;
	case 5:
		if (cell)
			cadre_token_vacate(cell, atomic_load(&cell->word));
		break;
	default:
		FUZZ_CHECK(cadre_token_count(table) <= table->count);
		break;
	}
}

/* The segment has none of its own, so that what other targets poke stays where it was. */
static struct cadre_view a_view_with_tokens(struct fuzz_script *script)
{
	static bool is_known;
	struct cadre_view view = *fuzz_segment(script);

	view.tokens.cells = (void *)(view.arena + view.plan.bytes -
				     CELLS * sizeof(struct cadre_token_cell));
	view.tokens.count = CELLS;
	if (!is_known)
		fuzz_add_hot(view.tokens.cells, CELLS * sizeof(struct cadre_token_cell));
	is_known = true;
	return view;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = { .next = data, .end = data + size };
	const struct cadre_view view = a_view_with_tokens(&script);
	const struct cadre_token_table *const table = &view.tokens;
	struct known known = { .turn = 0 };
	uint8_t operation;

	while (fuzz_next(&script, &operation)) {
		switch (operation & 7) {
		case 0:
		case 1:
			make(table, &known, &script);
			break;
		case 2:
			look(table, an_id(table, &known, &script));
			break;
		case 3:
			say(table, an_id(table, &known, &script), fuzz_byte(&script));
			break;
		case 4:
			poke(table, &known, &script);
			break;
		case 5:
			name(&view, an_id(table, &known, &script), fuzz_byte(&script));
			break;
		case 6:
			notice(&view, an_id(table, &known, &script), fuzz_byte(&script));
			break;
		default:
			fuzz_machine.now_ns += operation & 8 ? 1 << 24 : 0;
			change(table, an_id(table, &known, &script), fuzz_byte(&script));
			break;
		}
	}
	return 0;
}
