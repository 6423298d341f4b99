/*
 * s3_sign: signs the requests on standard input, for comparison with botocore.
 * Texts are in hexadecimal, so that every byte can be in them; one line each:
 *
 *   secret TEXT, access_key TEXT, region TEXT, date TEXT, payload TEXT
 *   method TEXT, path TEXT (not encoded), query NAME VALUE, header NAME VALUE
 *   end
 *
 * Answers with three lines in hexadecimal: the path and the query as they are
 * sent, the canonical request, the value of the header "authorization".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3_sign.h"
#include "walship/base/mem.h"

#define LINE_MAX_SIZE (64 * 1024)

typedef struct Job
{
	char *secret;
	char *access_key;
	char *region;
	char *date;
	char *payload;
	char *method;
	char *path;
	S3Pairs query;
	S3Pairs headers;
} Job;

static void
fail(const char *what, const char *which)
{
	fprintf(stderr, "s3_sign: %s: \"%s\"\n", what, which);
	exit(2);
}

static int
nibble(char c)
{
	const char *digits = "0123456789abcdef";
	const char *found = c == '\0' ? NULL : strchr(digits, c);

	if (found == NULL)
		fail("not a hexadecimal digit", (char[]){c, '\0'});
	return (int) (found - digits);
}

/* "" is written "-". */
static char *
from_hex(const char *text)
{
	size_t size = text == NULL || strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;
	char *bytes = mem_alloc(size + 1);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char) (nibble(text[2 * i]) * 16 + nibble(text[2 * i + 1]));
	bytes[size] = '\0';
	return bytes;
}

static void
print_hex(const Buf *buf)
{
	for (size_t i = 0; i < buf->size; i++)
		printf("%02x", (unsigned char) buf->data[i]);
	putchar('\n');
}

static void
answer(const Job *job)
{
	AUTO_BUF(path, LINE_MAX_SIZE);
	AUTO_BUF(url, LINE_MAX_SIZE);
	AUTO_BUF(canonical, LINE_MAX_SIZE);
	AUTO_BUF(names, LINE_MAX_SIZE);
	AUTO_BUF(authorization, LINE_MAX_SIZE);
	S3SigningKey key;

	s3_encode(job->path, true, &path);
	buf_printf(&url, "%s?", path.data);
	s3_sign_query(&job->query, &url);

	S3SignRequest request = {.method = job->method,
	                         .path = path.data,
	                         .query = &job->query,
	                         .headers = &job->headers,
	                         .payload = job->payload,
	                         .date = job->date,
	                         .region = job->region};

	s3_sign_canonical(&request, &canonical, &names);
	s3_sign_key(job->secret, job->date, job->region, &key);
	s3_sign(&request, job->access_key, &key, &authorization);
	print_hex(&url);
	print_hex(&canonical);
	print_hex(&authorization);
}

static void
release(Job *job)
{
	free(job->secret);
	free(job->access_key);
	free(job->region);
	free(job->date);
	free(job->payload);
	free(job->method);
	free(job->path);
	s3_pairs_release(&job->query);
	s3_pairs_release(&job->headers);
	*job = (Job){0};
}

static char **
field_of(Job *job, const char *name)
{
	const struct
	{
		const char *name;
		char **field;
	} fields[] = {
		{"secret", &job->secret}, {"access_key", &job->access_key}, {"region", &job->region},
		{"date", &job->date},     {"payload", &job->payload},       {"method", &job->method},
		{"path", &job->path},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
	{
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].field;
	}
	fail("unknown word", name);
	return NULL;
}

static void
read_line(Job *job, char *line)
{
	char *rest = NULL;
	const char *word = strtok_r(line, " \n", &rest);
	const char *first = strtok_r(NULL, " \n", &rest);
	const char *second = strtok_r(NULL, " \n", &rest);

	if (word == NULL)
		fail("empty line", "");
	else if (strcmp(word, "end") == 0)
	{
		answer(job);
		release(job);
	}
	else if (strcmp(word, "query") == 0 || strcmp(word, "header") == 0)
	{
		AUTO_FREE char *name = from_hex(first);
		AUTO_FREE char *value = from_hex(second);

		s3_pairs_add(word[0] == 'q' ? &job->query : &job->headers, name, value);
	}
	else
		*field_of(job, word) = from_hex(first);
}

int
main(void)
{
	AUTO_FREE char *line = NULL;
	size_t capacity = 0;
	Job job = {0};

	while (getline(&line, &capacity, stdin) > 0)
		read_line(&job, line);
	release(&job);
	return ferror(stdin) || fflush(stdout) != 0;
}
