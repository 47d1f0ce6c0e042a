/*
 * digest - SHA-256 of the payload, or of the file that the payload names.
 *
 *   id  name    payload     reply
 *    1  sha256  any bytes   their digest, 64 hexadecimal digits
 *    2  file    a path      the digest of that file's content
 *
 * The hashing is libcrypto's. A path is looked up by the worker: relative ones start where
 * `cadre serve` was started. What is not a regular file is refused, since a pipe could
 * hold up its worker for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cadre/service.h>
#include <openssl/evp.h>

#define PIECE (64u * 1024)
#define HEX_LENGTH 64

/* Fetched once per worker: looking an algorithm up costs more than a short digest. One
 * context will do, since this service's handlers run one at a time. */
struct hasher {
	EVP_MD *algorithm;
	EVP_MD_CTX *context;
	unsigned char piece[PIECE];
};

static void fail_hashing(struct cadre_job *job)
{
	cadre_job_fail(job, EIO, "libcrypto could not compute SHA-256");
}

/* Takes the digest out of the context and replies it. */
static void reply_digest(struct cadre_job *job, const struct hasher *hasher)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[HEX_LENGTH];
	int r;

	if (EVP_DigestFinal_ex(hasher->context, digest, NULL) != 1) {
		fail_hashing(job);
		return;
	}
	for (size_t i = 0; i < HEX_LENGTH; i++)
		hex[i] = digits[i % 2 == 0 ? digest[i / 2] >> 4 : digest[i / 2] & 15];
	r = cadre_job_reply(job, hex, sizeof(hex));
	if (r < 0)
		cadre_job_fail(job, -r, "cannot reply: %s", strerror(-r));
}

static void sha256(struct cadre_job *job, void *state)
{
	const struct hasher *const hasher = state;
	size_t length;
	const void *const data = cadre_job_data(job, &length);

	if (EVP_DigestInit_ex2(hasher->context, hasher->algorithm, NULL) != 1 ||
	    EVP_DigestUpdate(hasher->context, data, length) != 1)
		fail_hashing(job);
	else
		reply_digest(job, hasher);
}

/* A descriptor, or a negative error. */
static int open_regular(const char *path)
{
	struct stat status;
	/* Non-blocking for the sake of pipes, which are refused right after. */
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		r = -errno;
	else if (S_ISDIR(status.st_mode))
		r = -EISDIR;
	else if (!S_ISREG(status.st_mode))
		r = -EINVAL;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* 0, or a negative error of read; -EIO when libcrypto failed, -ECANCELED when nobody
 * waits any more. */
static int hash_file(const struct cadre_job *job, struct hasher *hasher, int fd)
{
	if (EVP_DigestInit_ex2(hasher->context, hasher->algorithm, NULL) != 1)
		return -EIO;
	for (;;) {
		const ssize_t length = read(fd, hasher->piece, sizeof(hasher->piece));

		if (length == 0)
			return 0;
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return -errno;
		if (EVP_DigestUpdate(hasher->context, hasher->piece, (size_t)length) != 1)
			return -EIO;
		if (cadre_job_cancelled(job))
			return -ECANCELED;
	}
}

static void file(struct cadre_job *job, void *state)
{
	struct hasher *const hasher = state;
	char path[PATH_MAX];
	size_t length;
	const char *const data = cadre_job_data(job, &length);
	int fd, r;

	if (length == 0 || length >= sizeof(path) || memchr(data, '\0', length)) {
		cadre_job_fail(job, EINVAL, "the payload of %zu bytes is not a path",
			       length);
		return;
	}
	memcpy(path, data, length);
	path[length] = '\0';

	fd = open_regular(path);
	if (fd < 0) {
		cadre_job_fail(job, -fd, "cannot open the file: %s",
			       fd == -EINVAL ? "Not a regular file" : strerror(-fd));
		return;
	}
	r = hash_file(job, hasher, fd);
	close(fd);
	if (r < 0)
		cadre_job_fail(job, -r, "cannot read the file: %s", strerror(-r));
	else
		reply_digest(job, hasher);
}

static int fini(void *state)
{
	struct hasher *const hasher = state;

	EVP_MD_CTX_free(hasher->context);
	EVP_MD_free(hasher->algorithm);
	free(hasher);
	return 0;
}

static int init(const struct cadre_start *start, void **ret_state, struct cadre_diag *diag)
{
	struct hasher *const hasher = calloc(1, sizeof(*hasher));

	(void)start;
	if (!hasher)
		return -ENOMEM;
	hasher->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	hasher->context = EVP_MD_CTX_new();
	if (!hasher->algorithm || !hasher->context) {
		fini(hasher);
		snprintf(diag->text, sizeof(diag->text),
			 "libcrypto offers no SHA-256 (is its configuration complete?)");
		return -ENOTSUP;
	}
	*ret_state = hasher;
	return 0;
}

static const struct cadre_operation operations[] = {
	{ 1, "sha256", sha256 },
	{ 2, "file", file },
};

CADRE_API extern const struct cadre_service cadre_service;
const struct cadre_service cadre_service = {
	.size = sizeof(cadre_service),
	.name = "digest",
	.operations = operations,
	.operation_count = sizeof(operations) / sizeof(operations[0]),
	.init = init,
	.fini = fini,
};
