/*
 * The XML that S3 speaks: elements and text, nothing else.  The input is not
 * trusted: no document types, no entities but the five and character references.
 */
#pragma once

#include <stddef.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"

#define S3_XML_DEPTH_MAX 8
#define S3_XML_TEXT_MAX  (64u * 1024) /* of one element */

/*
 * Called at the end of every element.  "path" is "Root/Child/Leaf" without name
 * spaces; "text" is what stands in an element without children, NULL in others.
 */
typedef Error *(*S3XmlCallback)(void *context, const char *path, const char *text);

/* ERR_CORRUPT when it is not one whole document.  White space may stand around it. */
Error *s3_xml_parse(const char *text, size_t size, S3XmlCallback callback, void *context) MUST_CHECK;

/* Appends the text as it stands in an element. */
void s3_xml_escape(const char *text, Buf *into);

/* The text of one leaf, NULL when the document is broken or has none.  The caller frees. */
char *s3_xml_find(const char *text, size_t size, const char *path);
