/* Facts of a status: what ends by itself, and locks walship out then. */
#include <stdlib.h>
#include <string.h>

#include "status_steps.h"
#include "walship/base/certificate.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define CERTIFICATES_MAX (4 * 1024 * 1024) /* the bundles of systems have 250 KiB */

void
status_ends_release(StatusFacts *facts)
{
	for (size_t i = 0; i < facts->n_ends; i++)
	{
		free(facts->ends[i].what);
		free(facts->ends[i].error);
	}
	free(facts->ends);
}

/* "what" is given away. */
StatusEnd *
status_add_end(StatusFacts *facts, StatusEndKind kind, char *what, TimeUs time)
{
	GROW(facts->ends, facts->n_ends, facts->ends_capacity);
	facts->ends[facts->n_ends] = (StatusEnd){.kind = kind, .what = what, .time = time};
	return &facts->ends[facts->n_ends++];
}

static char *
describe(const char *what, const Certificate *certificate)
{
	if (certificate->subject[0] == '\0')
		return mem_strdup(what);
	return mem_printf("%s, %s", what, certificate->subject);
}

static void
note_error(StatusFacts *facts, char *what, const Error *error)
{
	status_add_end(facts, STATUS_END_CERTIFICATE, what, TIME_NONE)->error = mem_strdup(error_message(error));
}

void
status_note_access(StatusFacts *facts, Store *store, const char *whose)
{
	AUTO_STORE_ACCESS access = {0};
	AUTO_CERTIFICATES certificates = {0};
	AUTO_FREE char *what = mem_printf("%s certificate", whose);
	AUTO(Error) error = NULL;

	store_access(store, &access);
	if (access.certificate != NULL)
		error = certificates_parse(access.certificate, strlen(access.certificate), &certificates);
	if (error != NULL)
		note_error(facts, MOVE(what), error);
	else if (certificates.count > 0)
		(void) status_add_end(facts, STATUS_END_CERTIFICATE, describe(what, &certificates.items[0]),
		                      certificates.items[0].ends);
	if (access.is_temporary)
		(void) status_add_end(facts, STATUS_END_SESSION, mem_printf("%s temporary credentials", whose),
		                      access.ends);
}

/*
 * A bundle keeps what has ended beside what took its place: there the ones that are still good count, and of a
 * file in which all have ended the last one.
 */
static const Certificate *
first_to_end(const Certificates *certificates, TimeUs now)
{
	const Certificate *first = NULL;
	const Certificate *last = &certificates->items[0];

	for (size_t i = 0; i < certificates->count; i++)
	{
		const Certificate *item = &certificates->items[i];

		if (item->ends > now && (first == NULL || item->ends < first->ends))
			first = item;
		if (item->ends > last->ends)
			last = item;
	}
	return first != NULL ? first : last;
}

void
status_note_certificates(StatusFacts *facts, const char *setting, const char *path)
{
	AUTO_BUF(text, CERTIFICATES_MAX);
	AUTO_CERTIFICATES certificates = {0};
	AUTO_FREE char *what = mem_printf("that of %s", setting);
	AUTO(Error) error = file_read_all(path, &text);

	if (error == NULL)
		error = certificates_parse(text.data == NULL ? "" : text.data, text.size, &certificates);
	if (error != NULL)
	{
		note_error(facts, MOVE(what), error);
		return;
	}

	const Certificate *certificate = first_to_end(&certificates, facts->now);

	(void) status_add_end(facts, STATUS_END_CERTIFICATE, describe(what, certificate), certificate->ends);
}
