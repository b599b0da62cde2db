/* The tokens of one path, as scan.c found them, for the conversions in texts.c and forms.c. */

#ifndef STREAM_PROCESSOR_COLUMN_H
#define STREAM_PROCESSOR_COLUMN_H

#include "scan.h"

#include <stddef.h>

/* What became of a token: left for Python, a value, or null. The same numbers as in ready.py. */
enum state { OPEN, VALUE, NOTHING };

/* One token per row, as scan.c found them. Filled in by ready.py, in the same order. */
struct column {
    place data;
    int64_t data_bytes;
    const int32_t *starts;
    const int32_t *sizes;
    const uint8_t *kinds;
    int64_t rows;
    /* Whether a token that is absent or null makes the value null. */
    int64_t is_nullable;
    /* Out: an `enum state` per row. */
    uint8_t *states;
};

static inline int lies_in_data(const struct column *column, int64_t row)
{
    int64_t start = column->starts[row], size = column->sizes[row];
    return start >= 0 && size >= 0 && start + size <= column->data_bytes;
}

/* A token of one kind that is there, or NULL. */
static inline place token(const struct column *column, int64_t row, enum kind kind)
{
    if (column->kinds[row] != kind || column->sizes[row] == 0 || !lies_in_data(column, row))
        return NULL;
    return column->data + column->starts[row];
}

/* The state of a token that has no form: null and absent may mean null. */
static inline uint8_t without_form(const struct column *column, int64_t row)
{
    place word = token(column, row, WORD);
    int is_null = column->kinds[row] == ABSENT || (word != NULL && *word == 'n');
    return is_null && column->is_nullable ? NOTHING : OPEN;
}

#endif
