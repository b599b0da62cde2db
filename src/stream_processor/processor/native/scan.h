/* What scan.c finds in a text and the others convert. Loaded by library.py; no part of Python. */

#ifndef STREAM_PROCESSOR_SCAN_H
#define STREAM_PROCESSOR_SCAN_H

#include <stdint.h>

/* library.py asks for it first, so that a library of another version is never called. */
#define INTERFACE_VERSION 2

/* A place in a text, and, as `end`, the place behind its last byte. */
typedef const uint8_t *place;

/* What stands at a path. ESCAPED is a string with a backslash in it. */
enum kind { ABSENT, STRING, ESCAPED, NUMBER, WORD, OBJECT, ARRAY };

#endif
