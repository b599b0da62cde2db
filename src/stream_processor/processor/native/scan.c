/*
 * Takes JSON events apart: where the value of each wanted key stands, and, for the column
 * `_rescued`, all members that nobody wants, written one behind the other.
 *
 * It is conservative. An event is taken if every byte of it was understood by the rules below; any
 * other event is left over for the reader in Python, which alone decides what is wrong with it.
 * So each function may say no to right text, and never yes to wrong text.
 *
 * The functions are named by the rules of RFC 8259 that they read. Each is given a place and the
 * end of the event, never looks at the end or behind it, and returns the place behind what it read,
 * or NULL. Nothing here allocates memory: the caller brings all of it, and says how much.
 */

#include "scan.h"

#include <stddef.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "eight bytes are looked at as one little-endian word; without this library Python reads"
#endif

enum {
    /* Members of one event that nobody wants; an event with more is left over. */
    UNWANTED_MAX = 64,
    SPACE = 0x20,
    FIRST_BEYOND_ASCII = 0x80
};

/* What becomes of members that no path names; the same numbers as in scanner.py. */
enum unwanted { DROP, KEEP, LEAVE_OVER };

/* One event is one row. Filled in by scanner.py; the same names stand in library.py, in order. */
struct scan {
    /* The bytes of all events, and where in them each event begins and ends. */
    place data;
    int64_t data_bytes;
    const int32_t *begins;
    const int32_t *ends;
    int64_t events;
    int64_t event_bytes_max;
    int64_t depth_max;
    /* The wanted keys one behind the other, ordered by length and then by their bytes. */
    place keys;
    const int64_t *key_bounds;
    int64_t key_count;
    /* For each key, whether a field reads all of its value (such a member is never kept). */
    const uint8_t *key_whole;
    /* Work space: the key that followed each key the last time, and a byte per level of depth. */
    int64_t *key_next;
    uint8_t *brackets;
    int64_t unwanted;
    /* Found: for key k and the n-th taken event, at [k * events + n]. */
    int32_t *starts;
    int32_t *sizes;
    uint8_t *kinds;
    /* In: which events are to be read. Out: which were taken. */
    uint8_t *taken;
    /* What is kept of the n-th taken event: from kept_bounds[n] to kept_bounds[n + 1]. */
    uint8_t *kept;
    int64_t kept_bytes_max;
    int32_t *kept_bounds;
};

/* ---- RFC 8259, section 2: white space and brackets ---- */

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

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Four hexadecimal digits as a number; -1 if they are not there. */
static int code_unit(place at, place end)
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
static place unicode_escape(place at, place end)
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
static place escape(place at, place end)
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
static place utf8_character(place at, place end)
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

static inline place digits(place at, place end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* `0`, or digits that begin with another one. */
static place integer_part(place at, place end)
{
    if (at < end && *at == '0')
        return at + 1;
    place behind = digits(at, end);
    return behind > at ? behind : NULL;
}

/* Digits, at least one. */
static place some_digits(place at, place end)
{
    place behind = digits(at, end);
    return behind > at ? behind : NULL;
}

static place number(place at, place end)
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

static place word(place at, place end)
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

/* From the quote of a member's name to where its value begins. */
static inline place name_and_colon(place at, place end)
{
    enum kind kind;
    if (at >= end || *at != '"')
        return NULL;
    at = string(at + 1, end, &kind);
    if (at == NULL)
        return NULL;
    at = ws(at, end);
    if (at >= end || *at != ':')
        return NULL;
    at = ws(at + 1, end);
    return at < end ? at : NULL;
}

/* To where the next value of the innermost container begins. */
static inline place to_value(place at, place end, uint8_t opening)
{
    if (opening == '{')
        return name_and_colon(at, end);
    return at < end ? at : NULL;
}

/* An object or an array with all that is in it, at most `levels` deep. */
static place container(place at, place end, uint8_t *brackets, int64_t levels)
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

static inline place value(place at, place end, const struct scan *scan, enum kind *kind)
{
    if (!is_opening(*at))
        return scalar(at, end, kind);
    *kind = *at == '{' ? OBJECT : ARRAY;
    return container(at, end, scan->brackets, scan->depth_max - 1);
}

/* ---- the members of an event ---- */

struct member {
    place name; /* behind its quote */
    int64_t name_bytes;
    place value;
    place end;
    enum kind kind;
};

/* The members that nobody wants, as they are written into the text that is kept. */
struct keeping {
    uint8_t *at;
    /* A piece of the event that can be copied at once: members with nothing between them. */
    place piece;
    place piece_end;
    int count;
    place names[UNWANTED_MAX];
    int64_t name_bytes[UNWANTED_MAX];
};

/* Orders names by length, then by bytes; as scanner.py orders the wanted keys. */
static inline int64_t compared(const struct scan *scan, int64_t key, const struct member *member)
{
    int64_t begin = scan->key_bounds[key], size = scan->key_bounds[key + 1] - begin;
    if (size != member->name_bytes)
        return size - member->name_bytes;
    return memcmp(scan->keys + begin, member->name, (size_t)size);
}

/* The number of the key that a member has; -1 if nobody wants it. */
static int64_t searched(const struct scan *scan, const struct member *member)
{
    int64_t low = 0, high = scan->key_count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        int64_t order = compared(scan, middle, member);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* Most events have their keys in the same order: what came next the last time is tried first. */
static inline int64_t key_of(struct scan *scan, const struct member *member, int64_t *previous)
{
    int64_t key = scan->key_next[*previous];
    if (compared(scan, key, member) != 0) {
        key = searched(scan, member);
        if (key < 0)
            return key;
        scan->key_next[*previous] = key;
    }
    *previous = key;
    return key;
}

static inline void append(struct keeping *keeping, place from, place to)
{
    memcpy(keeping->at, from, (size_t)(to - from));
    keeping->at += to - from;
}

static inline void end_piece(struct keeping *keeping)
{
    if (keeping->piece != NULL)
        append(keeping, keeping->piece, keeping->piece_end);
    keeping->piece = NULL;
}

static int was_there(const struct keeping *keeping, const struct member *member)
{
    for (int n = 0; n < keeping->count; n++)
        if (keeping->name_bytes[n] == member->name_bytes
            && memcmp(keeping->names[n], member->name, (size_t)member->name_bytes) == 0)
            return 1;
    return 0;
}

/* Whether the member could be kept: of a name that comes twice only Python knows the place. */
static int keep(struct keeping *keeping, const struct member *member)
{
    place quote = member->name - 1, name_end = member->name + member->name_bytes + 1;
    int is_tight = member->value == name_end + 1; /* only the colon is between them */
    if (keeping->count == UNWANTED_MAX || was_there(keeping, member))
        return 0;
    keeping->names[keeping->count] = member->name;
    keeping->name_bytes[keeping->count] = member->name_bytes;
    if (is_tight && keeping->piece != NULL && keeping->piece_end + 1 == quote) {
        keeping->piece_end = member->end; /* the byte between them is the comma */
        keeping->count++;
        return 1;
    }
    end_piece(keeping);
    *keeping->at++ = keeping->count++ == 0 ? '{' : ',';
    if (is_tight) {
        keeping->piece = quote;
        keeping->piece_end = member->end;
    } else {
        append(keeping, quote, name_end);
        *keeping->at++ = ':';
        append(keeping, member->value, member->end);
    }
    return 1;
}

/* Whether the event may have the member, which nobody wants or of which only a part is wanted. */
static inline int unwanted(const struct scan *scan, struct keeping *keeping,
                           const struct member *member, int64_t key)
{
    if (scan->unwanted == DROP)
        return 1;
    if (scan->unwanted == LEAVE_OVER)
        return key >= 0;
    return (key >= 0 && scan->key_whole[key]) || keep(keeping, member);
}

/* A name without escapes, a colon and a value. */
static inline place member_of(place at, place end, const struct scan *scan, struct member *member)
{
    enum kind name_kind;
    if (at >= end || *at != '"')
        return NULL;
    member->name = at + 1;
    at = string(at + 1, end, &name_kind);
    if (at == NULL || name_kind != STRING)
        return NULL;
    member->name_bytes = at - 1 - member->name;
    at = ws(at, end);
    if (at >= end || *at != ':')
        return NULL;
    member->value = ws(at + 1, end);
    if (member->value >= end)
        return NULL;
    member->end = value(member->value, end, scan, &member->kind);
    return member->end;
}

/* From behind the opening bracket of an event to behind the closing one. */
static place members(place at, place end, struct scan *scan, struct keeping *keeping, int64_t row)
{
    struct member member;
    int64_t previous = scan->key_count; /* in `key_next`: where an event begins */
    at = ws(at, end);
    if (at < end && *at == '}')
        return at + 1;
    for (;;) {
        at = member_of(at, end, scan, &member);
        if (at == NULL)
            return NULL;
        int64_t key = key_of(scan, &member, &previous);
        if (key >= 0) {
            scan->starts[key * scan->events + row] = (int32_t)(member.value - scan->data);
            scan->sizes[key * scan->events + row] = (int32_t)(member.end - member.value);
            scan->kinds[key * scan->events + row] = (uint8_t)member.kind;
        }
        if (!unwanted(scan, keeping, &member, key))
            return NULL;
        at = ws(at, end);
        if (at >= end || (*at != ',' && *at != '}'))
            return NULL;
        if (*at == '}')
            return at + 1;
        at = ws(at + 1, end);
    }
}

/* One event into a row; where the kept text ends then, or NULL if the event is left over. */
static uint8_t *event(place at, place end, struct scan *scan, uint8_t *kept, int64_t row)
{
    struct keeping keeping;
    keeping.at = kept;
    keeping.piece = keeping.piece_end = NULL;
    keeping.count = 0;
    for (int64_t key = 0; key < scan->key_count; key++) {
        scan->starts[key * scan->events + row] = 0;
        scan->sizes[key * scan->events + row] = 0;
        scan->kinds[key * scan->events + row] = ABSENT;
    }
    at = ws(at, end);
    if (at >= end || *at != '{' || scan->depth_max < 1)
        return NULL;
    at = members(at + 1, end, scan, &keeping, row);
    if (at == NULL || ws(at, end) != end)
        return NULL;
    end_piece(&keeping);
    if (keeping.count > 0)
        *keeping.at++ = '}';
    return keeping.at;
}

/* Whether an event lies in the data and there is room for what may be kept of it. What is kept is
   never longer than the event: each member with its comma or brackets stands there too. */
static int fits(const struct scan *scan, int64_t n, const uint8_t *kept)
{
    int64_t begin = scan->begins[n], end = scan->ends[n];
    if (begin < 0 || end < begin || end > scan->data_bytes || end - begin > scan->event_bytes_max)
        return 0;
    return scan->unwanted != KEEP || end - begin <= scan->kept_bytes_max - (kept - scan->kept);
}

int64_t interface_version(void)
{
    return INTERFACE_VERSION;
}

/* All events; how many were taken. */
int64_t scan_events(struct scan *scan)
{
    uint8_t *kept = scan->kept;
    int64_t row = 0;
    scan->kept_bounds[0] = 0;
    for (int64_t n = 0; n < scan->events; n++) {
        uint8_t *behind = NULL;
        if (scan->taken[n] && scan->key_count > 0 && fits(scan, n, kept))
            behind = event(scan->data + scan->begins[n], scan->data + scan->ends[n], scan, kept, row);
        scan->taken[n] = behind != NULL;
        if (behind != NULL) {
            kept = behind;
            scan->kept_bounds[++row] = (int32_t)(kept - scan->kept);
        }
    }
    return row;
}
