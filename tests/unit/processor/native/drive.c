/*
 * Feeds texts to the decoder in C, each of them so that its last byte is the last one before a page
 * that may not be touched, and with buffers that are not one byte too large. Whatever looks too far
 * ends the program. Reads pairs of (length, bytes) from the standard input.
 */

#define _DEFAULT_SOURCE

#include "forms.c"
#include "scan.c"
#include "texts.c"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KEYS = 5, TEXT_BYTES_MAX = 1 << 21, DEPTH_MAX = 128 };

static const uint8_t NAMES[] = "aididxamountaddress";
static const int64_t NAME_BOUNDS[KEYS + 1] = {0, 1, 3, 6, 12, 19};

static const uint8_t RULES[] = {COLLAPSE_SPACES, UPPER, TRIM, EMPTY_TO_NULL, LOWER, TRIM};

static void *exactly(size_t bytes)
{
    void *found = malloc(bytes ? bytes : 1);
    if (found == NULL)
        exit(3);
    memset(found, 0xA5, bytes);
    return found;
}

/* All conversions of a column that has a token twice; for texts there is room enough, or less. */
static void convert(struct column *column, int64_t text_bytes)
{
    int64_t values[4];
    int32_t bounds[3];
    for (int64_t room = 2 * text_bytes; room >= 0; room -= room > 3 ? room / 2 : 1) {
        uint8_t *texts = exactly((size_t)room);
        for (int64_t count = 0; count <= (int64_t)sizeof RULES; count++) {
            struct string_form form = {RULES, count, count & 1};
            convert_strings(column, &form, texts, room, bounds);
        }
        gather_tokens(column, texts, room, bounds);
        free(texts);
    }
    for (int64_t before = 0; before <= 18; before += 6) {
        struct number_form form = {before, 18 - before, before & 1};
        convert_numbers(column, &form, 2, values);
        form.is_quotable = 1;
        form.behind = 0;
        convert_numbers(column, &form, 1, values);
    }
    struct instant_form instants = {1, 0, 0, 0, 0, {0, 0, 0}};
    struct instant_form other = {1, -330, 1, 1, 1000, {13, 0, 1}};
    convert_instants(column, &instants, values);
    convert_instants(column, &other, values);
}

static void scan_one(place text, int32_t size, int64_t unwanted, int64_t depth_max)
{
    int32_t begin = 0, starts[KEYS], sizes[KEYS], kept_bounds[2];
    uint8_t kinds[KEYS], whole[KEYS] = {1, 1, 1, 1, 0}, taken = 1, states[2];
    int64_t key_next[KEYS + 1] = {0};
    uint8_t *kept = exactly((size_t)size), *brackets = exactly((size_t)depth_max);
    struct scan scan = {
        .data = text, .data_bytes = size, .begins = &begin, .ends = &size, .events = 1,
        .event_bytes_max = TEXT_BYTES_MAX, .depth_max = depth_max, .keys = NAMES,
        .key_bounds = NAME_BOUNDS, .key_count = KEYS, .key_whole = whole, .key_next = key_next,
        .brackets = brackets, .unwanted = unwanted, .starts = starts, .sizes = sizes,
        .kinds = kinds, .taken = &taken, .kept = kept, .kept_bytes_max = size,
        .kept_bounds = kept_bounds,
    };
    if (scan_events(&scan) == 1) {
        for (int key = 0; key < KEYS; key++) {
            int32_t two_starts[2] = {starts[key], starts[key]};
            int32_t two_sizes[2] = {sizes[key], sizes[key]};
            uint8_t two_kinds[2] = {kinds[key], kinds[key]};
            struct column column = {text, size, two_starts, two_sizes, two_kinds, 2, 1, states};
            convert(&column, sizes[key]);
        }
    }
    free(kept);
    free(brackets);
}

int main(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *area = mmap(NULL, TEXT_BYTES_MAX + page, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t size;
    long count = 0;
    if (area == MAP_FAILED || mprotect(area + TEXT_BYTES_MAX, page, PROT_NONE) != 0)
        return 2;
    for (; fread(&size, sizeof size, 1, stdin) == 1 && size <= TEXT_BYTES_MAX; count++) {
        uint8_t *text = area + TEXT_BYTES_MAX - size;
        if (fread(text, 1, size, stdin) != size)
            return 2;
        for (int64_t unwanted = DROP; unwanted <= LEAVE_OVER; unwanted++) {
            scan_one(text, (int32_t)size, unwanted, DEPTH_MAX);
            scan_one(text, (int32_t)size, unwanted, 3);
        }
    }
    printf("%ld\n", count);
    return 0;
}
