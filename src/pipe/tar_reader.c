/* Last stage: takes a tar archive apart. */
#include <inttypes.h>
#include <string.h>

#include "tar_block.h"
#include "walship/base/mem.h"

typedef enum ReaderState
{
	READING_HEADER,
	READING_EXTENSION, /* the contents of a pax or GNU header */
	READING_CONTENTS,
	READING_PADDING,
} ReaderState;

/* The contents of one extension header, where no extended attributes are asked for: those that tar programs write are far shorter. */
#define EXTENSION_MAX (64u * 1024)

/* What says nothing must end some time, or an archive could go on for ever: extensions of one entry, zeros at the end. */
#define EXTENSIONS_MOST  16
#define ZERO_BLOCKS_MOST 2048 /* 1 MiB; tar's records have 10 KiB, and few programs make longer ones */

/* Of the next entry, where everything is asked for. */
typedef struct TarNext
{
	bool has_mtime;
	int64_t mtime;
	uint32_t mtime_ns;
	bool has_uid;
	uint64_t uid;
	bool has_gid;
	uint64_t gid;
	bool sparse;
	uint64_t sparse_major;
	uint64_t sparse_minor;
	bool has_sparse_size;
	uint64_t sparse_size;
	char sparse_name[TAR_NAME_MAX + 1]; /* the entry's own is another, for programs that do not know of it */
	TarAttribute *attributes;
	size_t n_attributes;
	size_t attributes_capacity;
} TarNext;

typedef struct TarReader
{
	Sink sink;
	TarHandler handler;
	void *context;
	bool needs_end;
	bool handler_failed; /* the error is the handler's, who names what it is about */
	char *what;
	ReaderState state;
	uint8_t block[TAR_BLOCK_SIZE];
	size_t block_used;
	int zero_blocks;
	int extensions;   /* of the next entry */
	uint64_t left;    /* of contents or extension */
	uint64_t padding; /* to skip after it */
	TarEntry entry;   /* the one being read */
	char flag;        /* of the extension being read */
	Buf extension;    /* what has been read of it */

	/* What extensions said about the next entry; empty strings and false when nothing. */
	char next_name[TAR_NAME_MAX + 1];
	char next_link[TAR_NAME_MAX + 1];
	bool has_next_size;
	uint64_t next_size;
	TarNext next;
} TarReader;

static Error *
next_text_set(char *next, const char *text, size_t length)
{
	if (length > TAR_NAME_MAX || memchr(text, '\0', length) != NULL)
		return error_new(ERR_CORRUPT, "a name of %zu bytes that is too long or malformed", length);
	memcpy(next, text, length);
	next[length] = '\0';
	return NULL;
}

static bool
digits_parse(const char *text, size_t length, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (size_t i = 0; i < length; i++)
	{
		if (text[i] < '0' || text[i] > '9' || value > (uint64_t) INT64_MAX / 10 - 1)
			return false;
		value = value * 10 + (uint64_t) (text[i] - '0');
	}
	*ret_value = value;
	return length > 0;
}

static bool
key_is(const char *key, size_t length, const char *name)
{
	return length == strlen(name) && memcmp(key, name, length) == 0;
}

/* "-12.5": seconds and a fraction, of which more digits than nine are cut. */
static bool
seconds_parse(const char *text, size_t length, int64_t *ret_seconds, uint32_t *ret_ns)
{
	bool negative = length > 0 && text[0] == '-';
	const char *point = memchr(text, '.', length);
	size_t whole = point == NULL ? length : (size_t) (point - text);
	uint64_t seconds;
	uint32_t ns = 0;
	uint32_t unit = 1000000000;

	if (!digits_parse(text + negative, whole - negative, &seconds))
		return false;
	for (size_t i = whole + 1; i < length; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return false;
		unit /= 10;
		ns += unit * (uint32_t) (text[i] - '0');
	}
	*ret_seconds = negative ? -(int64_t) seconds - (ns > 0) : (int64_t) seconds;
	*ret_ns = negative && ns > 0 ? 1000000000 - ns : ns;
	return true;
}

/* "%3D" and "%25" are what stands for '=' and '%' in a key (GNU tar: xheader.c, xattr_decode_keyword). */
static char *
attribute_name(const char *key, size_t length)
{
	char *name = mem_strndup(key, length);
	char *to = name;

	for (const char *from = name; *from != '\0'; to++)
	{
		bool equals = strncmp(from, "%3D", 3) == 0;
		bool percent = strncmp(from, "%25", 3) == 0;

		*to = equals ? '=' : percent ? '%' : *from;
		from += equals || percent ? 3 : 1;
	}
	*to = '\0';
	return name;
}

static void
attribute_add(TarNext *next, const char *key, size_t key_length, const char *value, size_t length)
{
	TarAttribute attribute = {
		.name = attribute_name(key, key_length), .value = mem_alloc(length + 1), .size = length};

	memcpy(attribute.value, value, length);
	GROW(next->attributes, next->n_attributes, next->attributes_capacity);
	next->attributes[next->n_attributes++] = attribute;
}

static Error *
sparse_record_apply(TarNext *next, const char *key, size_t key_length, const char *value, size_t length)
{
	bool valid = true;

	next->sparse = true;
	if (key_is(key, key_length, PAX_SPARSE "major"))
		valid = digits_parse(value, length, &next->sparse_major);
	else if (key_is(key, key_length, PAX_SPARSE "minor"))
		valid = digits_parse(value, length, &next->sparse_minor);
	else if (key_is(key, key_length, PAX_SPARSE "realsize"))
		valid = next->has_sparse_size = digits_parse(value, length, &next->sparse_size);
	else if (key_is(key, key_length, PAX_SPARSE "name"))
		return next_text_set(next->sparse_name, value, length);
	return valid ? NULL : error_new(ERR_CORRUPT, "a pax header with a malformed number of a sparse file");
}

/* Those of which only a handler of everything wants to know. */
static Error *
pax_further_apply(TarReader *self, const char *key, size_t key_length, const char *value, size_t length)
{
	static const size_t attribute_length = sizeof(PAX_ATTRIBUTE) - 1;
	TarNext *next = &self->next;
	bool valid = true;

	if (key_length > attribute_length && memcmp(key, PAX_ATTRIBUTE, attribute_length) == 0)
		attribute_add(next, key + attribute_length, key_length - attribute_length, value, length);
	else if (key_is(key, key_length, "mtime"))
		valid = next->has_mtime = seconds_parse(value, length, &next->mtime, &next->mtime_ns);
	else if (key_is(key, key_length, "uid"))
		valid = next->has_uid = digits_parse(value, length, &next->uid) && next->uid <= UINT32_MAX;
	else if (key_is(key, key_length, "gid"))
		valid = next->has_gid = digits_parse(value, length, &next->gid) && next->gid <= UINT32_MAX;
	return valid ? NULL : error_new(ERR_CORRUPT, "a pax header with a malformed time or owner");
}

static Error *
pax_record_apply(TarReader *self, const char *key, size_t key_length, const char *value, size_t length)
{
	static const size_t sparse_length = sizeof(PAX_SPARSE) - 1;

	if (key_is(key, key_length, "path"))
		return next_text_set(self->next_name, value, length);
	if (key_is(key, key_length, "linkpath"))
		return next_text_set(self->next_link, value, length);
	if (key_length > sparse_length && memcmp(key, PAX_SPARSE, sparse_length) == 0)
		return self->handler.everything ? sparse_record_apply(&self->next, key, key_length, value, length)
		                                : error_new(ERR_CORRUPT, "a sparse file, which is not supported");
	if (!key_is(key, key_length, "size"))
		return self->handler.everything ? pax_further_apply(self, key, key_length, value, length) : NULL;
	if (!digits_parse(value, length, &self->next_size))
		return error_new(ERR_CORRUPT, "a pax header with a malformed size");
	self->has_next_size = true;
	return NULL;
}

/* POSIX: records "<length> <key>=<value>\n", the length counting the whole record. */
static Error *
pax_apply(TarReader *self, const char *text, size_t size)
{
	while (size > 0)
	{
		const char *blank = memchr(text, ' ', size);
		uint64_t length;

		if (blank == NULL || !digits_parse(text, (size_t) (blank - text), &length) || length > size ||
		    length < (uint64_t) (blank - text) + 2 || text[length - 1] != '\n')
			return error_new(ERR_CORRUPT, "a malformed pax header");

		const char *key = blank + 1;
		const char *end = text + length - 1;
		const char *equals = memchr(key, '=', (size_t) (end - key));

		if (equals == NULL)
			return error_new(ERR_CORRUPT, "a malformed pax header");
		TRY(pax_record_apply(self, key, (size_t) (equals - key), equals + 1, (size_t) (end - equals - 1)));
		text += length;
		size -= (size_t) length;
	}
	return NULL;
}

static Error *
extension_apply(TarReader *self)
{
	const char *text = self->extension.size > 0 ? self->extension.data : "";
	size_t length = strnlen(text, self->extension.size);

	switch (self->flag)
	{
		case TAR_FLAG_PAX:
			return pax_apply(self, text, self->extension.size);
		case TAR_FLAG_GNU_NAME:
			return next_text_set(self->next_name, text, length);
		case TAR_FLAG_GNU_LINK:
			return next_text_set(self->next_link, text, length);
		default: /* global pax records are defaults and comments; none of them is about names or sizes */
			return NULL;
	}
}

/* What the handler says passes through here. */
static Error *
told(TarReader *self, Error *error)
{
	self->handler_failed = error != NULL;
	return error;
}

static void
next_release(TarNext *next)
{
	for (size_t i = 0; i < next->n_attributes; i++)
	{
		free(next->attributes[i].name);
		free(next->attributes[i].value);
	}
	free(next->attributes);
	*next = (TarNext){0};
}

/* After the contents of an entry or extension, of which there may be none. */
static Error *
contents_end(TarReader *self)
{
	bool was_extension = self->state == READING_EXTENSION;

	self->state = self->padding > 0 ? READING_PADDING : READING_HEADER;
	if (was_extension)
		return extension_apply(self);
	TRY(told(self, self->handler.end(self->context)));
	next_release(&self->next);
	return NULL;
}

static Error *
contents_begin(TarReader *self, ReaderState state, uint64_t size)
{
	self->state = state;
	self->left = size;
	self->padding = tar_padding(size);
	return size == 0 ? contents_end(self) : NULL;
}

/* What the extensions said beside names and sizes. */
static Error *
next_apply(const TarNext *next, TarEntry *entry)
{
	if (next->has_mtime)
	{
		entry->mtime = next->mtime;
		entry->mtime_ns = next->mtime_ns;
	}
	if (next->has_uid)
		entry->uid = (uint32_t) next->uid;
	if (next->has_gid)
		entry->gid = (uint32_t) next->gid;
	entry->attributes = next->attributes;
	entry->n_attributes = next->n_attributes;
	if (!next->sparse)
		return NULL;
	if (next->sparse_major != 1 || next->sparse_minor != 0 || !next->has_sparse_size ||
	    next->sparse_name[0] == '\0')
		return error_new(ERR_CORRUPT, "a sparse file in a form other than 1.0, which is not supported");
	entry->sparse = true;
	entry->sparse_size = next->sparse_size;
	memcpy(entry->name, next->sparse_name, sizeof(next->sparse_name));
	return NULL;
}

static Error *
entry_begin(TarReader *self, const TarBlock *header)
{
	self->entry = header->entry;
	self->extensions = 0;
	if (self->next_name[0] != '\0')
		memcpy(self->entry.name, self->next_name, sizeof(self->next_name));
	if (self->next_link[0] != '\0')
		memcpy(self->entry.link_target, self->next_link, sizeof(self->next_link));
	if (self->has_next_size)
		self->entry.size = self->next_size;
	self->next_name[0] = self->next_link[0] = '\0';
	self->has_next_size = false;

	if (self->handler.everything)
		TRY(next_apply(&self->next, &self->entry));
	TRY(tar_entry_settle(header->flag, self->handler.everything, &self->entry));
	TRY(told(self, self->handler.begin(self->context, &self->entry)));
	return contents_begin(self, READING_CONTENTS, self->entry.size);
}

static Error *
block_take(TarReader *self)
{
	TarBlock header;

	if (tar_block_is_zero(self->block))
	{
		/* Programs fill the last record with zeros. */
		if (++self->zero_blocks > ZERO_BLOCKS_MOST)
			return error_new(ERR_CORRUPT, "more than %d blocks of zeros after its end", ZERO_BLOCKS_MOST);
		return NULL;
	}
	if (self->zero_blocks > 0)
		return error_new(ERR_CORRUPT, "bytes after its end");
	TRY(tar_block_decode(self->block, &header));
	switch (header.flag)
	{
		case TAR_FLAG_PAX:
		case TAR_FLAG_PAX_GLOBAL:
		case TAR_FLAG_GNU_NAME:
		case TAR_FLAG_GNU_LINK:
			if (++self->extensions > EXTENSIONS_MOST)
				return error_new(ERR_CORRUPT, "more than %d extended headers of one entry", EXTENSIONS_MOST);
			if (header.entry.size > self->extension.cap)
				return error_new(ERR_CORRUPT, "an extended header of %" PRIu64 " bytes", header.entry.size);
			self->flag = header.flag;
			buf_clear(&self->extension);
			return contents_begin(self, READING_EXTENSION, header.entry.size);
		default:
			return entry_begin(self, &header);
	}
}

/* Takes as many of the bytes as belong to what is being read, and says how many. */
static Error *
reader_take(TarReader *self, const uint8_t *data, size_t size, size_t *ret_taken)
{
	uint64_t wanted = self->state == READING_HEADER    ? TAR_BLOCK_SIZE - self->block_used
	                  : self->state == READING_PADDING ? self->padding
	                                                   : self->left;
	size_t taken = size < wanted ? size : (size_t) wanted;

	*ret_taken = taken;
	switch (self->state)
	{
		case READING_HEADER:
			memcpy(self->block + self->block_used, data, taken);
			self->block_used += taken;
			if (self->block_used < TAR_BLOCK_SIZE)
				return NULL;
			self->block_used = 0;
			return block_take(self);
		case READING_PADDING:
			self->padding -= taken;
			if (self->padding == 0)
				self->state = READING_HEADER;
			return NULL;
		case READING_EXTENSION:
			buf_append(&self->extension, data, taken);
			break;
		case READING_CONTENTS:
			TRY(told(self, self->handler.data(self->context, data, taken)));
			break;
	}
	self->left -= taken;
	return self->left == 0 ? contents_end(self) : NULL;
}

static Error *
reader_write(Sink *sink, const void *data, size_t size)
{
	TarReader *self = (TarReader *) sink;
	const uint8_t *bytes = data;
	size_t taken;

	for (; size > 0; bytes += taken, size -= taken)
	{
		Error *error = reader_take(self, bytes, size, &taken);

		if (error != NULL)
			return self->handler_failed ? error : error_context(error, "%s", self->what);
	}
	return NULL;
}

static Error *
reader_finish(Sink *sink)
{
	TarReader *self = (TarReader *) sink;
	bool dangling = self->next_name[0] != '\0' || self->next_link[0] != '\0' || self->has_next_size;

	if (self->state == READING_CONTENTS)
		return error_new(ERR_CORRUPT, "%s is cut off: \"%s\" lacks %" PRIu64 " bytes", self->what,
		                 self->entry.name, self->left);
	if (self->state != READING_HEADER || self->block_used > 0 || dangling)
		return error_new(ERR_CORRUPT, "%s is cut off between two members", self->what);
	if (self->needs_end && self->zero_blocks < 2)
		return error_new(ERR_CORRUPT, "%s is cut off: the end of the tar archive is missing", self->what);
	return NULL;
}

static void
reader_free(Sink *sink)
{
	TarReader *self = (TarReader *) sink;

	buf_release(&self->extension);
	next_release(&self->next);
	free(self->what);
	free(self);
}

static const SinkOps reader_ops = {
	.write = reader_write,
	.finish = reader_finish,
	.free = reader_free,
};

Sink *
tar_reader_new(const TarHandler *handler, void *context, bool needs_end, const char *what)
{
	TarReader *self = NEW(TarReader);

	self->sink.ops = &reader_ops;
	self->handler = *handler;
	self->context = context;
	self->needs_end = needs_end;
	self->what = mem_strdup(what);
	buf_init(&self->extension, handler->everything ? TAR_EXTENSION_MAX : EXTENSION_MAX);
	return &self->sink;
}
