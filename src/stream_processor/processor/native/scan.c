/*
 * Takes JSON events apart: where the value of each wanted key stands, and, for the column
 * `_rescued`, all members that nobody wants, written one behind the other.
 *
 * It is conservative. An event is taken if every byte of it was understood (grammar.h); any other
 * event is left over for the reader in Python, which alone decides what is wrong with it.
 * Nothing here allocates memory: the caller brings all of it, and says how much.
 */

#include "grammar.h"

enum {
    /* Members of one event that nobody wants; an event with more is left over. */
    UNWANTED_MAX = 64
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
    place name_end;
    member->value = name_and_colon(at, end, &name_kind, &name_end);
    if (member->value == NULL || name_kind != STRING)
        return NULL;
    member->name = at + 1;
    member->name_bytes = name_end - 1 - member->name;
    member->end =
        value(member->value, end, scan->brackets, scan->depth_max - 1, &member->kind);
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
            behind = event(scan->data + scan->begins[n], scan->data + scan->ends[n], scan, kept,
                           row);
        scan->taken[n] = behind != NULL;
        if (behind != NULL) {
            kept = behind;
            scan->kept_bounds[++row] = (int32_t)(kept - scan->kept);
        }
    }
    return row;
}
