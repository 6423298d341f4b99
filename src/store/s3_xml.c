/* A scanner for the XML of S3's answers. */
#include "s3_xml.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define PATH_MAX_BYTES 1024

typedef struct Scanner
{
	const char *next;
	const char *end;
	Buf path;                        /* of the open element */
	size_t starts[S3_XML_DEPTH_MAX]; /* where each open element's name begins in the path */
	bool leaf[S3_XML_DEPTH_MAX];     /* no child so far */
	int depth;
	bool seen_root;
	Buf text; /* of the open element */
	S3XmlCallback callback;
	void *context;
} Scanner;

static Error *
malformed(const char *what)
{
	return error_new(ERR_CORRUPT, "malformed XML: %s", what);
}

static bool
at(const Scanner *scanner, const char *literal)
{
	size_t length = strlen(literal);

	return (size_t) (scanner->end - scanner->next) >= length && memcmp(scanner->next, literal, length) == 0;
}

static Error *
skip_past(Scanner *scanner, const char *literal)
{
	size_t left = (size_t) (scanner->end - scanner->next);
	const char *found = memmem(scanner->next, left, literal, strlen(literal));

	if (found == NULL)
		return malformed("it ends too early");
	scanner->next = found + strlen(literal);
	return NULL;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
append_utf8(Buf *into, uint32_t code)
{
	if (code < 0x80)
		buf_putc(into, (char) code);
	else if (code < 0x800)
		buf_printf(into, "%c%c", (int) (0xC0 | code >> 6), (int) (0x80 | (code & 0x3F)));
	else if (code < 0x10000)
		buf_printf(into, "%c%c%c", (int) (0xE0 | code >> 12), (int) (0x80 | (code >> 6 & 0x3F)),
		           (int) (0x80 | (code & 0x3F)));
	else
		buf_printf(into, "%c%c%c%c", (int) (0xF0 | code >> 18), (int) (0x80 | (code >> 12 & 0x3F)),
		           (int) (0x80 | (code >> 6 & 0x3F)), (int) (0x80 | (code & 0x3F)));
}

/* "#65" or "#x41" */
static bool
character_reference(const char *name, uint32_t *ret_code)
{
	bool hexadecimal = name[1] == 'x';
	const char *digits = name + 1 + hexadecimal;
	char *end;
	unsigned long code = strtoul(digits, &end, hexadecimal ? 16 : 10);

	if (name[0] != '#' || *digits == '\0' || *digits == '-' || *digits == '+' || is_blank(*digits) ||
	    *end != '\0' || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
		return false;
	*ret_code = (uint32_t) code;
	return true;
}

static Error *
read_entity(Scanner *scanner)
{
	static const struct
	{
		const char *name;
		uint32_t code;
	} known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
	char name[12];
	size_t length = 0;
	uint32_t code = 0;

	while (scanner->next + 1 + length < scanner->end && scanner->next[1 + length] != ';' &&
	       length < sizeof(name))
		length++;
	if (length >= sizeof(name) || scanner->next + 1 + length >= scanner->end)
		return malformed("an entity without an end");
	memcpy(name, scanner->next + 1, length);
	name[length] = '\0';
	scanner->next += length + 2;
	for (size_t i = 0; i < lengthof(known); i++)
		code = strcmp(known[i].name, name) == 0 ? known[i].code : code;
	if (code == 0 && !character_reference(name, &code))
		return malformed("an unknown entity");
	append_utf8(&scanner->text, code);
	return NULL;
}

static Error *
read_text(Scanner *scanner)
{
	while (scanner->next < scanner->end && *scanner->next != '<')
	{
		if (scanner->depth == 0 && !is_blank(*scanner->next))
			return malformed("text outside of the document");
		if (*scanner->next == '&')
			TRY(read_entity(scanner));
		else
			buf_putc(&scanner->text, *scanner->next++);
	}
	return scanner->text.overflowed ? malformed("an element is too long") : NULL;
}

static Error *
end_element(Scanner *scanner)
{
	int level = scanner->depth - 1;
	const char *text = scanner->text.data == NULL ? "" : scanner->text.data;

	TRY(scanner->callback(scanner->context, scanner->path.data, scanner->leaf[level] ? text : NULL));
	buf_clear(&scanner->text);
	scanner->path.size = scanner->starts[level] > 0 ? scanner->starts[level] - 1 : 0;
	scanner->path.data[scanner->path.size] = '\0';
	scanner->depth = level;
	return NULL;
}

static Error *
begin_element(Scanner *scanner, const char *name, size_t length)
{
	if (scanner->depth == 0 && scanner->seen_root)
		return malformed("more than one document");
	if (scanner->depth == S3_XML_DEPTH_MAX)
		return malformed("it is nested too deeply");
	if (scanner->depth > 0)
	{
		scanner->leaf[scanner->depth - 1] = false;
		buf_putc(&scanner->path, '/');
	}
	scanner->seen_root = true;
	scanner->starts[scanner->depth] = scanner->path.size;
	scanner->leaf[scanner->depth++] = true;
	buf_append(&scanner->path, name, length);
	buf_clear(&scanner->text);
	return scanner->path.overflowed ? malformed("a name is too long") : NULL;
}

/* The name without its name space; *ret_length is 0 when there is none. */
static const char *
local_name(const char *name, const char *end, size_t *ret_length)
{
	const char *colon = NULL;
	const char *c = name;

	for (; c < end && !is_blank(*c) && *c != '/'; c++)
		colon = *c == ':' ? c : colon;
	name = colon == NULL ? name : colon + 1;
	*ret_length = (size_t) (c - name);
	return name;
}

/* '>' may stand in an attribute's value. */
static const char *
end_of_tag(const Scanner *scanner)
{
	char quote = '\0';

	for (const char *c = scanner->next; c < scanner->end; c++)
	{
		if (quote == '\0' && *c == '>')
			return c;
		if (quote == '\0' && (*c == '"' || *c == '\''))
			quote = *c;
		else if (*c == quote)
			quote = '\0';
	}
	return NULL;
}

static Error *
read_tag(Scanner *scanner)
{
	bool closing = at(scanner, "</");
	const char *begin = scanner->next + 1 + closing;
	const char *end = end_of_tag(scanner);
	size_t length;
	const char *name;

	if (end == NULL)
		return malformed("it ends too early");
	scanner->next = end + 1;
	name = local_name(begin, end, &length);
	if (length == 0)
		return malformed("an element without a name");
	if (closing)
	{
		const char *open =
			scanner->depth == 0 ? "" : scanner->path.data + scanner->starts[scanner->depth - 1];

		if (strlen(open) != length || memcmp(open, name, length) != 0)
			return malformed("elements do not match");
		return end_element(scanner);
	}
	TRY(begin_element(scanner, name, length));
	return end[-1] == '/' ? end_element(scanner) : NULL;
}

static Error *
scan(Scanner *scanner)
{
	while (scanner->next < scanner->end)
	{
		TRY(read_text(scanner));
		if (scanner->next == scanner->end)
			break;
		if (at(scanner, "<?"))
			TRY(skip_past(scanner, "?>"));
		else if (at(scanner, "<!--"))
			TRY(skip_past(scanner, "-->"));
		else if (at(scanner, "<!"))
			return malformed("a declaration");
		else
			TRY(read_tag(scanner));
	}
	if (!scanner->seen_root || scanner->depth > 0)
		return malformed("it ends too early");
	return NULL;
}

Error *
s3_xml_parse(const char *text, size_t size, S3XmlCallback callback, void *context)
{
	Scanner scanner = {.next = text,
	                   .end = text + size,
	                   .path.cap = PATH_MAX_BYTES,
	                   .text.cap = S3_XML_TEXT_MAX,
	                   .callback = callback,
	                   .context = context};
	Error *error = size > 0 && memchr(text, '\0', size) == NULL ? scan(&scanner) : malformed("it is empty");

	buf_release(&scanner.path);
	buf_release(&scanner.text);
	return error;
}

typedef struct Search
{
	const char *path;
	char *found;
} Search;

static Error *
look_at_leaf(void *context, const char *path, const char *text)
{
	Search *search = context;

	if (search->found == NULL && text != NULL && strcmp(path, search->path) == 0)
		search->found = mem_strdup(text);
	return NULL;
}

char *
s3_xml_find(const char *text, size_t size, const char *path)
{
	Search search = {.path = path};
	AUTO(Error) error = s3_xml_parse(text, size, look_at_leaf, &search);

	if (error != NULL)
	{
		free(search.found);
		return NULL;
	}
	return search.found;
}

void
s3_xml_escape(const char *text, Buf *into)
{
	for (; *text != '\0'; text++)
	{
		if ((unsigned char) *text < ' ' || *text == 0x7f || strchr("&<>\"'", *text) != NULL)
			buf_printf(into, "&#%d;", *text);
		else
			buf_putc(into, *text);
	}
}
