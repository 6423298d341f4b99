/* Writing DeleteObjects' request and reading its answer. */
#include "s3_delete.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "s3_xml.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define ROOT  "DeleteResult"
#define ENTRY ROOT "/Error"

void
s3_delete_request(const char *prefix, const char *const *keys, size_t count, Buf *into)
{
	buf_puts(into, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < count; i++)
	{
		buf_puts(into, "<Object><Key>");
		s3_xml_escape(prefix, into);
		s3_xml_escape(keys[i], into);
		buf_puts(into, "</Key></Object>");
	}
	buf_puts(into, "</Delete>");
}

typedef struct Answer
{
	S3DeleteCallback callback;
	void *context;
	char *key; /* of the entry that is being read, like what follows */
	char *code;
	char *message;
} Answer;

static void
forget_entry(Answer *answer)
{
	free(answer->key);
	free(answer->code);
	free(answer->message);
	*answer = (Answer){.callback = answer->callback, .context = answer->context};
}

#define AUTO_ENTRY __attribute__((cleanup(forget_entry))) Answer

static void
keep_text(char **into, const char *text)
{
	free(*into);
	*into = mem_strdup(text);
}

static Error *
take_element(void *context, const char *path, const char *text)
{
	Answer *answer = context;

	if (strcmp(path, ROOT) != 0 && !str_starts_with(path, ROOT "/"))
		return error_new(ERR_CORRUPT, "the answer is no " ROOT);
	if (strcmp(path, ENTRY) == 0)
	{
		TRY(answer->callback(answer->context, answer->key, answer->code, answer->message));
		forget_entry(answer);
	}
	else if (text != NULL && strcmp(path, ENTRY "/Key") == 0)
		keep_text(&answer->key, text);
	else if (text != NULL && strcmp(path, ENTRY "/Code") == 0)
		keep_text(&answer->code, text);
	else if (text != NULL && strcmp(path, ENTRY "/Message") == 0)
		keep_text(&answer->message, text);
	return NULL;
}

Error *
s3_delete_answer(const char *text, size_t size, S3DeleteCallback callback, void *context)
{
	AUTO_ENTRY answer = {.callback = callback, .context = context};

	return s3_xml_parse(text, size, take_element, &answer);
}
