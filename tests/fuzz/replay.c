/*
 * replay.c - runs a target without libFuzzer: over every file of some folders, and then over
 * so many mutations of them, the same ones each time.
 *
 *	fuzz_client [--rogue] [--mutations N] FILE|FOLDER...
 *
 * With --rogue a thread overwrites the segment meanwhile, so that each read of it may
 * return another value. When the target dies, its last input is left in fuzz_client.input.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INPUT_MAX 4096
#define SEEDS_MAX 512
#define SECONDS_MAX 100

struct input {
	uint8_t bytes[INPUT_MAX];
	size_t size;
};

static struct input *seeds;
static size_t seed_count;
static unsigned long runs;
static char last_path[256];
static uint8_t *last; /* the file of that name */
static int last_fd;

static void keep_last_input(void)
{
	snprintf(last_path, sizeof(last_path), "%s.%d.input",
		 program_invocation_short_name, (int)getpid());
	last_fd = open(last_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (last_fd < 0 || ftruncate(last_fd, INPUT_MAX) < 0)
		exit(1);
	last = mmap(NULL, INPUT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, last_fd, 0);
	if (last == MAP_FAILED)
		exit(1);
}

static void run(const struct input *input)
{
	memcpy(last, input->bytes, input->size);
	if (input->size < INPUT_MAX)
		memset(last + input->size, 0, INPUT_MAX - input->size);
	runs++;
	LLVMFuzzerTestOneInput(input->bytes, input->size);
}

static void load_file(const char *path)
{
	struct input *const input = &seeds[seed_count];
	FILE *const file = fopen(path, "re");

	if (!file || seed_count == SEEDS_MAX) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	input->size = fread(input->bytes, 1, INPUT_MAX, file);
	fclose(file);
	seed_count++;
}

static void load(const char *path)
{
	struct dirent **entries;
	const int count = scandir(path, &entries, NULL, alphasort);

	if (count < 0) {
		load_file(path);
		return;
	}
	for (int i = 0; i < count; i++) {
		char file[512];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			load_file(file);
		free(entries[i]);
	}
	free(entries);
}

/* ---- mutations ---- */

/* xorshift64 by G. Marsaglia. */
static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static size_t below(size_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return bound ? (size_t)(random_state >> 8) % bound : 0;
}

static void insert(struct input *input)
{
	const size_t count = 1 + below(12), at = below(input->size + 1);

	if (input->size + count > INPUT_MAX)
		return;
	memmove(input->bytes + at + count, input->bytes + at, input->size - at);
	for (size_t i = 0; i < count; i++)
		input->bytes[at + i] = (uint8_t)below(256);
	input->size += count;
}

static void cut(struct input *input)
{
	const size_t at = below(input->size);
	const size_t count = 1 + below(input->size - at < 12 ? input->size - at : 12);

	if (input->size <= count)
		return;
	memmove(input->bytes + at, input->bytes + at + count, input->size - at - count);
	input->size -= count;
}

/* The end of another one behind the beginning of this one. */
static void graft(struct input *input)
{
	const struct input *const other = &seeds[below(seed_count)];
	const size_t keep = below(input->size + 1), from = below(other->size + 1);
	const size_t count = other->size - from < INPUT_MAX - keep ? other->size - from :
								     INPUT_MAX - keep;

	memcpy(input->bytes + keep, other->bytes + from, count);
	input->size = keep + count;
}

static void mutate(struct input *input)
{
	for (size_t changes = 1 + below(6); changes > 0; changes--) {
		switch (below(6)) {
		case 0:
			insert(input);
			break;
		case 1:
			cut(input);
			break;
		case 2:
			graft(input);
			break;
		default:
			if (input->size)
				input->bytes[below(input->size)] = (uint8_t)below(256);
			break;
		}
	}
}

int main(int argc, char *argv[])
{
	unsigned long mutations = 0;
	static struct input input;

	seeds = calloc(SEEDS_MAX, sizeof(*seeds));
	if (!seeds)
		return 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--rogue") == 0)
			fuzz_unleash_rogue();
		else if (strcmp(argv[i], "--mutations") == 0 && i + 1 < argc)
			mutations = strtoul(argv[++i], NULL, 10);
		else
			load(argv[i]);
	}
	if (seed_count == 0)
		seed_count = 1; /* the empty one */
	/* Whatever stands there, no call goes on for ever. */
	alarm(SECONDS_MAX);
	keep_last_input();
	for (size_t i = 0; i < seed_count; i++)
		run(&seeds[i]);
	for (unsigned long i = 0; i < mutations; i++) {
		input = seeds[below(seed_count)];
		mutate(&input);
		run(&input);
	}
	unlink(last_path);
	printf("%lu inputs\n", runs);
	return 0;
}
