/*
 * Reads JSON by the rules of RFC 8259, whose names the functions have.
 *
 * Each is given a place and the end of the event, never looks at the end or behind it, and returns
 * the place behind what it read, or NULL. It may say no to right text, never yes to wrong text.
 */

#ifndef STREAM_PROCESSOR_GRAMMAR_H
#define STREAM_PROCESSOR_GRAMMAR_H

#include "scan.h"

#include <stddef.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "eight bytes are looked at as one little-endian word; without this library Python reads"
#endif

enum { SPACE = 0x20, FIRST_BEYOND_ASCII = 0x80 };

/* ---- section 2: white space and brackets ---- */

static inline place ws(place at, place end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static inline int is_opening(uint8_t byte)
{
    return byte == '{' || byte == '[';
}

/* In ASCII, which is one byte between them. */
static inline uint8_t closing_of(uint8_t opening)
{
    return (uint8_t)(opening + 2);
}

/* ---- section 7: strings ---- */

static inline int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Four hexadecimal digits as a number; -1 if they are not there. */
static inline int code_unit(place at, place end)
{
    int unit = 0;
    if (end - at < 4)
        return -1;
    for (int n = 0; n < 4; n++) {
        int digit = hex_digit(at[n]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* From the backslash of \uXXXX; the two halves of a surrogate pair belong together. */
static inline place unicode_escape(place at, place end)
{
    int unit = code_unit(at + 2, end);
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
        return NULL;
    at += 6;
    if (unit < 0xD800 || unit > 0xDBFF)
        return at;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return NULL;
    unit = code_unit(at + 2, end);
    return unit >= 0xDC00 && unit <= 0xDFFF ? at + 6 : NULL;
}

/* From the backslash. */
static inline place escape(place at, place end)
{
    if (end - at < 2)
        return NULL;
    switch (at[1]) {
    case 'u':
        return unicode_escape(at, end);
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return at + 2;
    default:
        return NULL;
    }
}

/* One character beyond ASCII: the Unicode Standard, table 3-7, well-formed UTF-8. */
static inline place utf8_character(place at, place end)
{
    uint8_t first = at[0], low = 0x80, high = 0xBF;
    ptrdiff_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first < 0xC2 || first > 0xF4 || end - at < size)
        return NULL;
    switch (first) {
    case 0xE0: low = 0xA0; break;
    case 0xED: high = 0x9F; break;
    case 0xF0: low = 0x90; break;
    case 0xF4: high = 0x8F; break;
    default: break;
    }
    if (at[1] < low || at[1] > high)
        return NULL;
    for (ptrdiff_t n = 2; n < size; n++)
        if (at[n] < 0x80 || at[n] > 0xBF)
            return NULL;
    return at + size;
}

#define IN_EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The highest bit of each byte that is zero (and perhaps of bytes behind the first such one). */
static inline uint64_t zero_bytes(uint64_t word)
{
    return (word - IN_EACH_BYTE(1)) & ~word & IN_EACH_BYTE(0x80);
}

/* The first byte that is a quote, a backslash, a control or beyond ASCII; or near the end. */
static inline place plain_characters(place at, place end)
{
    while (end - at >= 8) {
        uint64_t word, special;
        memcpy(&word, at, 8);
        special = zero_bytes(word ^ IN_EACH_BYTE('"')) | zero_bytes(word ^ IN_EACH_BYTE('\\'))
            | (((word - IN_EACH_BYTE(SPACE)) & ~word) & IN_EACH_BYTE(0x80))
            | (word & IN_EACH_BYTE(0x80));
        if (special)
            return at + (__builtin_ctzll(special) >> 3);
        at += 8;
    }
    return at;
}

/* From behind the opening quote to behind the closing one. */
static inline place string(place at, place end, enum kind *kind)
{
    *kind = STRING;
    for (;;) {
        at = plain_characters(at, end);
        if (at >= end || *at < SPACE)
            return NULL;
        if (*at == '"')
            return at + 1;
        if (*at == '\\') {
            *kind = ESCAPED;
            at = escape(at, end);
        } else if (*at >= FIRST_BEYOND_ASCII) {
            at = utf8_character(at, end);
        } else {
            at++;
        }
        if (at == NULL)
            return NULL;
    }
}

/* ---- sections 3 and 6: words and numbers ---- */

/* Digits, at least one. */
static inline place some_digits(place at, place end)
{
    place behind = at;
    while (behind < end && *behind >= '0' && *behind <= '9')
        behind++;
    return behind > at ? behind : NULL;
}

/* `0`, or digits that begin with another one. */
static inline place integer_part(place at, place end)
{
    return at < end && *at == '0' ? at + 1 : some_digits(at, end);
}

static inline place number(place at, place end)
{
    if (*at == '-')
        at++;
    at = integer_part(at, end);
    if (at != NULL && at < end && *at == '.')
        at = some_digits(at + 1, end);
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = some_digits(at, end);
    }
    return at;
}

static inline place word(place at, place end)
{
    if (end - at >= 4 && (memcmp(at, "true", 4) == 0 || memcmp(at, "null", 4) == 0))
        return at + 4;
    return end - at >= 5 && memcmp(at, "false", 5) == 0 ? at + 5 : NULL;
}

static inline place scalar(place at, place end, enum kind *kind)
{
    if (*at == '"')
        return string(at + 1, end, kind);
    if (*at == '-' || (*at >= '0' && *at <= '9')) {
        *kind = NUMBER;
        return number(at, end);
    }
    *kind = WORD;
    return word(at, end);
}

/* ---- sections 4 and 5: objects and arrays ---- */

/* From the quote of a member's name to where its value begins; `name_end` is behind the name. */
static inline place name_and_colon(place at, place end, enum kind *name_kind, place *name_end)
{
    if (at >= end || *at != '"')
        return NULL;
    *name_end = string(at + 1, end, name_kind);
    if (*name_end == NULL)
        return NULL;
    at = ws(*name_end, end);
    if (at >= end || *at != ':')
        return NULL;
    at = ws(at + 1, end);
    return at < end ? at : NULL;
}

/* To where the next value of the innermost container begins. */
static inline place to_value(place at, place end, uint8_t opening)
{
    enum kind name_kind;
    place name_end;
    if (opening == '{')
        return name_and_colon(at, end, &name_kind, &name_end);
    return at < end ? at : NULL;
}

/* An object or an array with all that is in it, at most `levels` deep. */
static inline place container(place at, place end, uint8_t *brackets, int64_t levels)
{
    int64_t depth = 0;
    enum kind kind;
    for (;;) { /* `at` is where a value begins */
        if (is_opening(*at)) {
            if (depth == levels)
                return NULL;
            brackets[depth++] = *at;
            at = ws(at + 1, end);
            if (at >= end)
                return NULL;
            if (*at != closing_of(brackets[depth - 1])) {
                at = to_value(at, end, brackets[depth - 1]);
                if (at == NULL)
                    return NULL;
                continue;
            }
        } else {
            at = scalar(at, end, &kind);
            if (at == NULL)
                return NULL;
            at = ws(at, end);
        }
        while (at < end && *at == closing_of(brackets[depth - 1])) {
            at++;
            if (--depth == 0)
                return at;
            at = ws(at, end);
        }
        if (at >= end || *at != ',')
            return NULL;
        at = to_value(ws(at + 1, end), end, brackets[depth - 1]);
        if (at == NULL)
            return NULL;
    }
}

/* Any value; `levels` is how deep it may be nested, `brackets` has room for so many bytes. */
static inline place value(place at, place end, uint8_t *brackets, int64_t levels, enum kind *kind)
{
    if (!is_opening(*at))
        return scalar(at, end, kind);
    *kind = *at == '{' ? OBJECT : ARRAY;
    return container(at, end, brackets, levels);
}

#endif
