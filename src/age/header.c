/* The header of an age file, written and read (c2sp.org/age, "ABNF definition of file header"). */
#include <ctype.h>
#include <string.h>

#include "format.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define VERSION_PREFIX "age-encryption.org/"
#define VERSION_LINE   VERSION_PREFIX "v1"
#define ARMOR_BEGIN    "-----BEGIN AGE ENCRYPTED FILE-----"
#define STANZA_BEGIN   "->"
#define MAC_BEGIN      "---"

#define BODY_COLUMNS    64
#define BODY_LINE_BYTES (BODY_COLUMNS / 4 * 3)
#define ARGUMENTS_KEPT  3
#define MAC_INFO        "header"

void
age_header_release(AgeHeader *header)
{
	free(header->stanzas);
	*header = (AgeHeader){0};
}

static void
compute_mac(const AgeFileKey *key, const char *text, size_t size, uint8_t ret_mac[SHA256_SIZE])
{
	AUTO_SECRET_KEY mac_key;

	hkdf_sha256(key->bytes, sizeof(key->bytes), "", 0, MAC_INFO, mac_key.bytes, sizeof(mac_key.bytes));
	hmac_sha256(mac_key.bytes, sizeof(mac_key.bytes), text, size, ret_mac);
}

bool
age_header_is_authentic(const AgeHeader *header, const char *text, const AgeFileKey *key)
{
	uint8_t mac[SHA256_SIZE];

	compute_mac(key, text, header->authenticated, mac);
	return secret_equal(mac, header->mac, sizeof(mac));
}

void
age_header_print(const AgeHeader *header, const AgeFileKey *key, Buf *into)
{
	uint8_t mac[SHA256_SIZE];
	char text[BASE64_TEXT_SIZE(SHA256_SIZE)]; /* also of a share, which is as long, and of a salt */
	char body[BASE64_TEXT_SIZE(AGE_BODY_SIZE)];

	buf_puts(into, VERSION_LINE "\n");
	for (size_t i = 0; i < header->n_stanzas; i++)
	{
		const AgeStanza *stanza = &header->stanzas[i];

		age_base64_encode(stanza->body, sizeof(stanza->body), body);
		if (stanza->kind == AGE_STANZA_X25519)
		{
			age_base64_encode(stanza->share, sizeof(stanza->share), text);
			buf_printf(into, STANZA_BEGIN " X25519 %s\n%s\n", text, body);
		}
		else
		{
			age_base64_encode(stanza->salt, sizeof(stanza->salt), text);
			buf_printf(into, STANZA_BEGIN " scrypt %s %d\n%s\n", text, stanza->work_factor, body);
		}
	}
	buf_puts(into, MAC_BEGIN);
	compute_mac(key, into->data, into->size, mac);
	age_base64_encode(mac, sizeof(mac), text);
	buf_printf(into, " %s\n", text);
}

/* A piece of the text, which may hold any byte. */
typedef struct Span
{
	const char *text;
	size_t size;
} Span;

typedef struct Parser
{
	const char *next;
	const char *end;
	AgeHeader *header;
} Parser;

/* Without its LF.  False at the end of the text: every line has one. */
static bool
next_line(Parser *parser, Span *ret_line)
{
	const char *feed = memchr(parser->next, '\n', (size_t) (parser->end - parser->next));

	if (feed == NULL)
		return false;
	*ret_line = (Span){parser->next, (size_t) (feed - parser->next)};
	parser->next = feed + 1;
	return true;
}

static bool
span_starts_with(Span span, const char *prefix)
{
	return span.size >= strlen(prefix) && memcmp(span.text, prefix, strlen(prefix)) == 0;
}

static bool
span_is(Span span, const char *text)
{
	return span.size == strlen(text) && span_starts_with(span, text);
}

static Error *
check_version(Span line)
{
	if (span_starts_with(line, ARMOR_BEGIN))
		return error_new(ERR_CORRUPT, "it is in ASCII armor, which is not read here");
	if (!span_starts_with(line, VERSION_PREFIX))
		return error_new(ERR_CORRUPT, "it does not begin with \"" VERSION_LINE "\"");
	if (!span_is(line, VERSION_LINE))
		return error_hint(error_new(ERR_CORRUPT, "it is of a version of age that is not known here"),
		                  "A newer program may have written it; this one knows " VERSION_LINE ".");
	return NULL;
}

Error *
age_header_check_version(const char *text, size_t size)
{
	const char *feed = size > 0 ? memchr(text, '\n', size) : NULL;

	return check_version((Span){text, feed != NULL ? (size_t) (feed - text) : size});
}

/* "-> argument argument ...": at least one, of visible characters, with single blanks. */
static Error *
split_arguments(Span line, size_t number, Span ret_arguments[ARGUMENTS_KEPT], size_t *ret_count)
{
	const char *next = line.text + strlen(STANZA_BEGIN);
	const char *end = line.text + line.size;
	size_t count = 0;

	while (next < end)
	{
		const char *start = next + 1;

		if (*next != ' ')
			return error_new(ERR_CORRUPT, "stanza %zu does not begin with \"-> \"", number);
		for (next = start; next < end && *next != ' '; next++)
			if (*next < '!' || *next > '~')
				return error_new(ERR_CORRUPT, "stanza %zu has a character that may not be there", number);
		if (next == start)
			return error_new(ERR_CORRUPT, "stanza %zu has an empty argument", number);
		if (count < ARGUMENTS_KEPT)
			ret_arguments[count] = (Span){start, (size_t) (next - start)};
		count++;
	}
	if (count == 0)
		return error_new(ERR_CORRUPT, "stanza %zu has no arguments", number);
	*ret_count = count;
	return NULL;
}

/* Lines of 64 columns, and at last a shorter one, perhaps empty.  Of the bytes as many are kept as a known kind has. */
static Error *
parse_body(Parser *parser, size_t number, uint8_t ret_body[AGE_BODY_SIZE], size_t *ret_size)
{
	size_t total = 0;
	Span line = {.size = BODY_COLUMNS};

	while (line.size == BODY_COLUMNS)
	{
		uint8_t bytes[BODY_LINE_BYTES];
		size_t size;

		if (!next_line(parser, &line))
			return error_new(ERR_CORRUPT, "the body of stanza %zu has no end", number);
		if (line.size > BODY_COLUMNS)
			return error_new(ERR_CORRUPT, "the body of stanza %zu has a line of more than %d columns", number,
			                 BODY_COLUMNS);
		if (!age_base64_decode(line.text, line.size, bytes, &size))
			return error_new(ERR_CORRUPT, "the body of stanza %zu is not canonical base64", number);
		if (total == 0)
			memcpy(ret_body, bytes, size < AGE_BODY_SIZE ? size : AGE_BODY_SIZE);
		total += size;
	}
	*ret_size = total;
	return NULL;
}

static bool
decode_argument(Span argument, uint8_t *ret_bytes, size_t wanted)
{
	uint8_t bytes[X25519_SIZE + 2];
	size_t size;

	if (argument.size >= BASE64_TEXT_SIZE(X25519_SIZE) ||
	    !age_base64_decode(argument.text, argument.size, bytes, &size) || size != wanted)
		return false;
	memcpy(ret_bytes, bytes, wanted);
	return true;
}

/* ^[1-9][0-9]*$; what is too large for an int is too large altogether. */
static bool
parse_work_factor(Span argument, int *ret_factor)
{
	int factor = 0;

	if (argument.text[0] == '0')
		return false;
	for (size_t i = 0; i < argument.size; i++)
	{
		if (!isdigit((unsigned char) argument.text[i]))
			return false;
		if (factor <= AGE_WORK_FACTOR_MAX)
			factor = factor * 10 + (argument.text[i] - '0');
	}
	*ret_factor = factor;
	return true;
}

static Error *
check_scrypt(AgeStanza *stanza, size_t number, const Span *arguments, size_t count)
{
	if (count != 3)
		return error_new(ERR_CORRUPT, "stanza %zu (scrypt) has %zu arguments instead of 3", number, count);
	if (!decode_argument(arguments[1], stanza->salt, sizeof(stanza->salt)))
		return error_new(ERR_CORRUPT, "the salt of stanza %zu (scrypt) is not canonical base64 of %d bytes",
		                 number, AGE_SALT_SIZE);
	if (!parse_work_factor(arguments[2], &stanza->work_factor))
		return error_new(ERR_CORRUPT, "the work factor of stanza %zu (scrypt) is not a number", number);
	if (stanza->work_factor > AGE_WORK_FACTOR_MAX)
		return error_new(ERR_CORRUPT,
		                 "the work factor of stanza %zu (scrypt) is above %d, the highest that is accepted",
		                 number, AGE_WORK_FACTOR_MAX);
	return NULL;
}

static Error *
parse_stanza(Parser *parser, Span line, size_t number)
{
	AgeHeader *header = parser->header;
	AgeStanza stanza = {0};
	Span arguments[ARGUMENTS_KEPT];
	size_t count = 0;
	size_t body_size = 0;

	TRY(split_arguments(line, number, arguments, &count));
	TRY(parse_body(parser, number, stanza.body, &body_size));
	if (span_is(arguments[0], "X25519"))
	{
		stanza.kind = AGE_STANZA_X25519;
		if (count != 2)
			return error_new(ERR_CORRUPT, "stanza %zu (X25519) has %zu arguments instead of 2", number,
			                 count);
		if (!decode_argument(arguments[1], stanza.share, sizeof(stanza.share)))
			return error_new(ERR_CORRUPT,
			                 "the share of stanza %zu (X25519) is not canonical base64 of %d bytes", number,
			                 X25519_SIZE);
	}
	else if (span_is(arguments[0], "scrypt"))
	{
		stanza.kind = AGE_STANZA_SCRYPT;
		TRY(check_scrypt(&stanza, number, arguments, count));
	}
	if (stanza.kind != AGE_STANZA_OTHER && body_size != AGE_BODY_SIZE)
		return error_new(ERR_CORRUPT, "the body of stanza %zu has %zu bytes instead of %d", number, body_size,
		                 AGE_BODY_SIZE);
	GROW(header->stanzas, header->n_stanzas, header->capacity);
	header->stanzas[header->n_stanzas++] = stanza;
	return NULL;
}

Error *
age_header_parse(const char *text, size_t size, AgeHeader *ret_header)
{
	AUTO_AGE_HEADER header = {0};
	Parser parser = {text, text + size, &header};
	size_t mac_begin = strlen(MAC_BEGIN " ");
	Span line = {0};

	(void) next_line(&parser, &line);
	TRY(check_version(line));
	while (next_line(&parser, &line) && !span_starts_with(line, MAC_BEGIN))
	{
		if (!span_starts_with(line, STANZA_BEGIN))
			return error_new(ERR_CORRUPT, "a line is neither a stanza nor the last one");
		if (header.n_stanzas == AGE_STANZAS_MAX)
			return error_new(ERR_CORRUPT, "it has more than %d stanzas", AGE_STANZAS_MAX);
		TRY(parse_stanza(&parser, line, header.n_stanzas + 1));
	}
	if (header.n_stanzas == 0)
		return error_new(ERR_CORRUPT, "it names no recipient");

	/* A passphrase says who wrote the file, which is true only when nobody else could have (c2sp.org/age). */
	for (size_t i = 0; header.n_stanzas > 1 && i < header.n_stanzas; i++)
		if (header.stanzas[i].kind == AGE_STANZA_SCRYPT)
			return error_new(ERR_CORRUPT, "a stanza of a passphrase (scrypt) is not alone");

	if (!span_starts_with(line, MAC_BEGIN " ") ||
	    !decode_argument((Span){line.text + mac_begin, line.size - mac_begin}, header.mac, SHA256_SIZE))
		return error_new(ERR_CORRUPT, "its last line is not \"--- \" and canonical base64 of %d bytes",
		                 SHA256_SIZE);
	header.authenticated = (size_t) (line.text - text) + strlen(MAC_BEGIN);

	*ret_header = header;
	header = (AgeHeader){0};
	return NULL;
}
