/* Can what is stored from now on be read again? */
#include "check_encryption.h"

#include <string.h>

#include "keys.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

/* Two chunks and a bit. */
#define PROBE_SIZE (150 * 1024)
#define SEALED_MAX (2 * PROBE_SIZE)

static Error *
encrypt(const AgeRecipients *recipients, const char *probe, Buf *sealed)
{
	AUTO(Pipe) pipe = pipe_new();

	age_add_encoder(pipe, recipients);
	pipe_add(pipe, buf_sink_new(sealed));
	TRY(pipe_write(pipe, probe, PROBE_SIZE));
	return pipe_finish(pipe);
}

static Error *
decrypt(const AgeIdentities *identities, const Buf *sealed, Buf *opened)
{
	AUTO(Pipe) pipe = pipe_new();

	pipe_add(pipe, age_decoder_new(identities, "what was encrypted"));
	pipe_add(pipe, buf_sink_new(opened));
	TRY(pipe_write(pipe, sealed->data, sealed->size));
	return pipe_finish(pipe);
}

static Error *
round_trip(const AgeRecipients *recipients, const AgeIdentities *identities)
{
	AUTO_FREE char *probe = mem_alloc(PROBE_SIZE);
	AUTO_BUF(sealed, SEALED_MAX);
	AUTO_BUF(opened, SEALED_MAX);

	random_bytes(probe, PROBE_SIZE);
	TRY(encrypt(recipients, probe, &sealed));
	if (identities == NULL)
		return NULL;
	TRY(age_check_identities(identities, age_recipients_fingerprints(recipients),
	                         "what is stored from now on"));
	TRY(decrypt(identities, &sealed, &opened));
	if (opened.size != PROBE_SIZE || memcmp(opened.data, probe, PROBE_SIZE) != 0)
		return error_new(ERR_CORRUPT, "what was encrypted does not decrypt to the same");
	return NULL;
}

static char *
describe(const AgeRecipients *recipients, const AgeIdentities *identities)
{
	if (recipients == NULL && identities == NULL)
		return mem_strdup("not set up: WAL and backups are stored as they are");
	if (recipients == NULL)
		return mem_strdup("not set up, but there are keys to read what was encrypted");
	if (identities == NULL)
		return mem_printf("for %s; this host can only encrypt: it has no secret key",
		                  age_recipients_fingerprints(recipients));
	return mem_printf("for %s; encrypted and decrypted again", age_recipients_fingerprints(recipients));
}

Error *
check_encryption(const Settings *settings, char **ret_detail)
{
	AUTO(AgeRecipients) recipients = NULL;
	AUTO(AgeIdentities) identities = NULL;

	TRY(keys_recipients(settings, &recipients));
	TRY(keys_identities(settings, &identities));
	if (recipients != NULL)
		TRY(round_trip(recipients, identities));
	*ret_detail = describe(recipients, identities);
	return NULL;
}
